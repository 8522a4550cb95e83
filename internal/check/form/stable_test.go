package form

import "testing"

func TestGrades(t *testing.T) {
	for want, tokens := range map[grade][]string{
		chosen: {
			"description", "support-form", "supportForm", "ticket[description]", "Content", "TicketCreate", "issue_description", "request_anonymous_requester_email",
			"your-message", "new_request", "helpdesk_ticket_ticket_body_attributes_description_html", "ctl_message", "userId", "IDNumber", "contact.message",
		},
		counted: {"field_2", "wpforms[fields][2]", "wpforms-123-field_2", "step2", "wpcf7-form", "wpcf7-f12-p45-o1", "description1"},
		generated: {
			"", ":r1:", "«r1»", "_R_1l_", "radix-:r3:", "ember123", "mui-4", "j_idt12:form", "mce_0", "ui-id-3", "v-0-1-2", "input-48211", "field_171234",
			"f3a8c01d9e2b47", "_a1b2c3d4e5f6", "550e8400-e29b-41d4-a716-446655440000", "sc-bdVaJa", "bdVaJa", "css-1x2y3z", "svelte-1abc2",
			"Form_form__3kX2a", "ContactForm_contact__qWeRt", "a b", "{id}", `a"b`, "größe",
		},
	} {
		for _, token := range tokens {
			if got := gradeOf(token); got != want {
				t.Errorf("%q: grade %d, want %d", token, got, want)
			}
		}
	}
}

func TestNameClass(t *testing.T) {
	for class, want := range map[string]string{
		"wpcf7-form init":                          "wpcf7-form",
		"tabular new-issue-form":                   "new-issue-form",
		"flex mt-4 md:w-1/2 rounded-lg bg-white":   "",
		"Form_form__3kX2a":                         "",
		"form-control messagebox richtext":         "messagebox",
		"btn btn-primary":                          "",
		"ng-pristine ng-valid ticket":              "ticket",
		"is-active has-error contact-form__submit": "contact-form__submit",
	} {
		if got := nameClass(class); got != want {
			t.Errorf("%q: %q, want %q", class, got, want)
		}
	}
}
