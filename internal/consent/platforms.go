package consent

// platforms is the table: for each platform, the cookie, how it is decoded, how
// one sees that the visitor has answered, and what is a yes. Where a platform
// writes a no as plainly as a yes, a category that its cookie does not name has
// not been answered; such a category is new to the visitor, or misspelled in
// the configuration.
//
// Names of cookies and categories are the platforms' defaults.
var platforms = []Platform{
	{
		Name: "onetrust", Category: "a group's id, such as C0002", Defaults: []string{"C0002"},
		rules: []platformRule{{"OptanonConsent", `
			decode form groups
			decode pairs , :
			answered cookie OptanonAlertBoxClosed
			answered pair {category} 0 1
			granted pair {category} 1`}},
	},
	{
		// 0 is what it writes of a visitor who refused everything, -1 of one
		// from a country where it does not ask
		Name: "cookiebot", Category: "preferences, statistics or marketing", Defaults: []string{"statistics"},
		rules: []platformRule{{"CookieConsent", `
			decode percent
			decode pairs ,{} :
			answered equals 0 or pair method explicit
			granted pair {category} true`}},
	},
	{
		// consent:no beside a category's yes is how it writes that someone has
		// not opted out
		Name: "cookieyes", Category: "such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"cookieyes-consent", `
			decode percent
			decode pairs , :
			answered pair action yes
			answered pair {category} no or pair consent yes
			answered pair {category} no yes
			granted pair {category} yes`}},
	},
	{
		Name: "didomi", Category: "the id of a purpose, such as analytics-x7Kd2",
		rules: []platformRule{{"didomi_token", `
			decode percent
			decode base64
			decode json
			answered json purposes.enabled contains {category} or json purposes.disabled contains {category}
			granted json purposes.enabled contains {category}`}},
	},
	{
		// with purposes of its own for each kind (4 is measurement), or with
		// one consent for all of them
		Name: "iubenda", Category: "the number of a purpose, such as 4", Defaults: []string{"4"},
		rules: []platformRule{{"_iub_cs-*", `
			decode percent
			decode json
			answered json purposes.{category} equals true false or json consent equals true false
			granted json purposes.{category} equals true or json consent equals true
			granted json purposes.{category} equals true or json purposes missing`}},
	},
	{
		// dismiss closes a notice; it is no yes
		Name: "insites",
		rules: []platformRule{{"cookieconsent_status", `
			decode percent
			answered equals allow deny
			granted equals allow`}},
	},
	{
		Name: "trustarc", Category: "the number of a level, such as 2", Defaults: []string{"2"},
		rules: []platformRule{{"cmapi_cookie_privacy", `
			decode percent
			decode list
			answered cookie notice_gdpr_prefs
			granted has {category}`}},
	},
	{
		// where it asks for no consent it allows all by itself, without the
		// banner's being dismissed
		Name: "complianz", Category: "preferences, statistics or marketing", Defaults: []string{"statistics"},
		rules: []platformRule{{"cmplz_{category}", `
			answered cookie cmplz_banner-status dismissed or cookie cmplz_rt_banner-status dismissed
			answered equals allow deny
			granted equals allow`}},
	},
	{
		Name: "wp_consent_api", Category: "such as statistics", Defaults: []string{"statistics"},
		rules: []platformRule{{"wp_consent_{category}", `
			answered equals allow deny
			granted equals allow`}},
	},
	{
		Name: "real_cookie_banner", Category: "the number of a service, such as 15",
		rules: []platformRule{{"real_cookie_banner-v:*_blog:*_path:*", `
			decode percent
			decode from {
			decode json
			granted json * contains {category}`}},
	},
	{
		Name: "borlabs", Category: "a group's id, such as statistics", Defaults: []string{"statistics"},
		rules: []platformRule{{"borlabs-cookie", `
			decode percent
			decode json
			answered json consents non_empty
			granted json consents.{category} non_empty or json consents.{category} equals true`}},
	},
	{
		Name: "cookie_law_info", Category: "such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{
			{"cookielawinfo-checkbox-{category}", `
			answered cookie viewed_cookie_policy
			answered equals yes no
			granted equals yes`},
			{"viewed_cookie_policy", `
			answered equals yes no
			granted equals yes`},
		},
	},
	{
		Name: "moove", Category: "thirdparty or advanced", Defaults: []string{"thirdparty"},
		rules: []platformRule{{"moove_gdpr_popup", `
			decode percent
			decode json
			answered json {category} equals 0 1
			granted json {category} equals 1`}},
	},
	{
		Name: "klaro", Category: "the name of a service, such as kapa",
		rules: []platformRule{{"klaro", `
			decode percent
			decode json
			answered json {category} equals true false
			granted json {category} equals true`}},
	},
	{
		// version 3, and version 2, which called the categories level at first
		Name: "orestbida", Category: "such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"cc_cookie", `
			decode percent
			decode json
			answered json categories exists or json level exists
			granted json categories contains {category} or json level contains {category}`}},
	},
	{
		Name: "tarteaucitron", Category: "the key of a service, such as kapa",
		rules: []platformRule{{"tarteaucitron", `
			decode percent
			decode pairs ! =
			answered pair {category} true false
			granted pair {category} true`}},
	},
	{
		Name: "civic", Category: "the name of a category, such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"CookieControl", `
			decode percent
			decode json
			answered json interactedWith equals true
			granted json optionalCookies.{category} equals accepted`}},
	},
	{
		Name: "axeptio", Category: "the name of a vendor, such as kapa",
		rules: []platformRule{{"axeptio_cookies", `
			decode percent
			decode json
			answered json $$completed equals true
			answered json {category} equals true false
			granted json {category} equals true`}},
	},
	{
		Name: "cookie_script", Category: "such as performance", Defaults: []string{"performance"},
		rules: []platformRule{{"CookieScriptConsent", `
			decode percent
			decode json
			answered json action equals accept reject
			granted json categories contains {category}`}},
	},
	{
		Name: "cookiefirst", Category: "such as performance", Defaults: []string{"performance"},
		rules: []platformRule{{"cookiefirst-consent", `
			decode percent
			decode json
			answered json {category} equals true false
			granted json {category} equals true`}},
	},
	{
		Name: "cookie_information", Category: "such as cookie_cat_statistic", Defaults: []string{"cookie_cat_statistic"},
		rules: []platformRule{{"CookieInformationConsent", `
			decode percent
			decode json
			answered json consents_approved contains {category} or json consents_denied contains {category}
			granted json consents_approved contains {category}`}},
	},
	{
		Name: "consentmanager", Category: "the number of a purpose, such as 51",
		rules: []platformRule{{"__cmpcpc*", `
			decode list _
			granted has {category}`}},
	},
	{
		Name: "ketch", Category: "the code of a purpose, such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"_ketch_consent_v1_", `
			decode percent
			decode base64
			decode json
			answered json {category}.status equals granted denied or json {category} equals granted denied
			granted json {category}.status equals granted or json {category} equals granted`}},
	},
	{
		Name: "transcend", Category: "the name of a purpose, such as Analytics", Defaults: []string{"Analytics"},
		rules: []platformRule{{"tcm", `
			decode percent
			decode json
			answered json confirmed equals true
			answered json purposes.{category} equals true false
			granted json purposes.{category} equals true`}},
	},
	{
		// 1 analytics, 2 advertisement, 3 functionality
		Name: "hubspot", Category: "a number from 1 to 3", Defaults: []string{"1"},
		rules: []platformRule{{"__hs_cookie_cat_pref", `
			decode percent
			decode pairs ,_ :
			answered pair {category} true false
			granted pair {category} true`}},
	},
	{
		Name: "drupal_eucc", Category: "the machine name of a category", optional: true,
		rules: []platformRule{
			{"cookie-agreed", `
			answered equals 0 1 2
			granted equals 1 2`},
			{"{cookie}-categories", `
			decode percent
			decode json
			granted json . contains {category}`},
		},
	},
	{
		// purposes 1, to store on and read from the device, and 8, to measure
		// the performance of content, are what an id for a support form comes to
		Name: "tcf", Category: "the number of a purpose, from 1 to 24", Defaults: []string{"1", "8"},
		rules: []platformRule{{"euconsent-v2", `
			decode percent
			decode tcf
			granted purposes {category}`}},
	},
	{
		Name: "gpp", Category: "the number of a purpose, from 1 to 24", Defaults: []string{"1", "8"},
		rules: []platformRule{{"__gpp", `
			decode percent
			decode gpp
			decode tcf
			granted purposes {category}`}},
	},
}
