package consent

// platforms is the table: for each platform, the cookie, how it is decoded, what
// shows that the visitor has answered, and what is a yes. If a platform writes a
// no as plainly as a yes, a category that its cookie does not name has no answer;
// such a category is new to the visitor, or misspelled in the configuration.
//
// Where the law lets a site go ahead until the visitor objects, platforms write
// a yes without asking. No such yes counts; a comment says where nothing tells
// it from a visitor's.
//
// Names of cookies and categories are the platforms' defaults.
var platforms = []Platform{
	{
		// interaction 3 means that the banner was closed, which leaves the old
		// answer; a visitor who is to be asked again has not answered yet
		Name: "onetrust", Category: "a group's id, such as C0002", Defaults: []string{"C0002"},
		Exempt: Attribute{Name: "data-ot-ignore"},
		rules: []platformRule{
			{"OptanonConsent", `
			decode form groups
			decode pairs , :
			answered cookie OptanonAlertBoxClosed
			answered pair {category} 0 1
			granted pair {category} 1`},
			{"{cookie}", `
			decode pairs & =
			answered not pair AwaitingReconsent true
			answered not pair intType 3
			granted not pair AwaitingReconsent true`},
		},
		also: "OptanonAlertBoxClosed OTAdditionalConsentString",
	},
	{
		// it writes 0 for a visitor who refused everything, -1 for a visitor
		// from a country where it does not ask
		Name: "cookiebot", Category: "preferences, statistics or marketing", Defaults: []string{"statistics"},
		Exempt: Attribute{"data-cookieconsent", "ignore"},
		rules: []platformRule{{"CookieConsent", `
			decode percent
			decode pairs ,{} :
			answered equals 0 or pair method explicit
			answered equals 0 or pair {category} true false
			answered not pair stamp -1 or pair {category} false
			granted pair {category} true`}},
		also: "CookieConsentBulkSetting-* CookieConsentBulkTicket",
	},
	{
		// Under the laws of the US, consent:yes means "opted out" and consent:no
		// stands beside a yes to every category. Only a category that a site
		// exempts from the opting-out there looks as if it had been accepted.
		Name: "cookieyes", Category: "such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"cookieyes-consent", `
			decode percent
			decode pairs , :
			answered pair action yes
			answered pair {category} no or pair consent yes
			answered pair {category} no yes
			granted pair {category} yes`}},
		also: "cky-consent cky-action cookieyes-*",
	},
	{
		Name: "didomi", Category: "the id of a purpose, such as analytics-x7Kd2",
		rules: []platformRule{{"didomi_token", `
			decode percent
			decode base64
			decode json
			answered json purposes.enabled contains {category} or json purposes.disabled contains {category}
			answered not json purposes.enabled contains {category} or not json purposes.disabled contains {category}
			granted json purposes.enabled contains {category}`}},
	},
	{
		// with purposes of its own for each kind (4 is measurement), or with
		// one consent for all of them
		Name: "iubenda", Category: "the number of a purpose, such as 4", Defaults: []string{"4"},
		Exempt: Attribute{"class", "_iub_cs_skip"},
		rules: []platformRule{{"_iub_cs-*", `
			decode percent
			decode json
			answered json purposes.{category} equals true false or json purposes missing
			answered json purposes.{category} equals true false or json consent equals true false
			granted json purposes.{category} equals true or json purposes missing
			granted json purposes.{category} equals true or json consent equals true`}},
		also: "_iub_cs-*-* _iub_previous_preference_id",
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
		// Where it does not ask, it still writes the consent that it assumes;
		// notice_behavior says at each visit whether it asks there.
		Name: "trustarc", Category: "the number of a level, such as 2", Defaults: []string{"2"},
		rules: []platformRule{{"cmapi_cookie_privacy", `
			decode percent
			decode list ,_|
			answered has permit
			answered cookie notice_gdpr_prefs
			answered has required or cookie notice_behavior expressed,* expressed|*
			granted has {category}`}},
		also: "notice_gdpr_prefs notice_preferences notice_behavior cmapi_gtm_bl TAconsentID",
	},
	{
		// Where it asks for no consent it allows all by itself, and the banner
		// is not dismissed. If a site treats statistics as exempt, they are
		// allowed whatever the visitor says, and nothing shows it.
		Name: "complianz", Category: "preferences, statistics or marketing", Defaults: []string{"statistics"},
		rules: []platformRule{{"cmplz_{category} cmplz_rt_{category}", `
			answered cookie cmplz_banner-status dismissed or cookie cmplz_rt_banner-status dismissed
			answered equals allow deny
			granted equals allow`}},
		also: "cmplz_banner-status cmplz_policy_id cmplz_consented_services cmplz_saved_categories cmplz_rt_banner-status",
	},
	{
		// what the site's own platform tells this interface, even if that
		// platform allows all without asking, and nothing shows it
		Name: "wp_consent_api", Category: "such as statistics", Defaults: []string{"statistics"},
		rules: []platformRule{{"wp_consent_{category}", `
			answered equals allow deny
			granted equals allow`}},
		also: "wp_consent_*-*",
	},
	{
		// under each group's number the services consented to; a site that does
		// not ask in some countries writes the same there, and nothing shows it
		Name: "real_cookie_banner", Category: "the number of a service, such as 15",
		Exempt: Attribute{"consent-skip-blocker", "1"},
		rules: []platformRule{{"real_cookie_banner-v:*_blog:*_path:* real_cookie_banner-v:*_blog:*_path:*-lang:* real_cookie_banner-v:*_blog:*_path:*-lang:*-*", `
			decode percent
			decode from {
			decode json
			answered json . non_empty
			granted json * contains {category}`}},
		also: "real_cookie_banner-v:*_blog:*_path:*-*",
	},
	{
		Name: "borlabs", Category: "a group's id, such as statistics", Defaults: []string{"statistics"},
		rules: []platformRule{{"borlabs-cookie", `
			decode percent
			decode json
			answered json consents non_empty
			granted not json consents.{category} equals false
			granted json consents.{category} contains * or json consents.{category} equals true`}},
	},
	{
		// The cookies of categories are there from the first visit. A refusal
		// may take them away and leave the other cookie's no.
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
		also: "cookielawinfo-checkbox-*-* CookieLawInfoConsent cli_user_preference",
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
		// Categories that were never switched on are left out. With its IAB
		// module, there are none; a legitimate interest is neither yes nor no.
		Name: "civic", Category: "the name of a category, such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"CookieControl", `
			decode percent
			decode json
			answered json interactedWith equals true
			answered json optionalCookies exists
			answered json optionalCookies.{category} equals accepted revoked or json optionalCookies.{category} missing
			granted json optionalCookies.{category} equals accepted`}},
		also: "CookieControlTC",
	},
	{
		Name: "axeptio", Category: "the name of a vendor, such as kapa",
		rules: []platformRule{{"axeptio_cookies", `
			decode percent
			decode json
			answered json $$completed equals true
			answered json {category} equals true false
			granted json {category} equals true`}},
		also: "axeptio_authorized_vendors axeptio_all_vendors",
	},
	{
		// an acceptance without categories is older: it is for all categories,
		// or for none that are known
		Name: "cookie_script", Category: "such as performance", Defaults: []string{"performance"},
		rules: []platformRule{{"CookieScriptConsent", `
			decode percent
			decode json
			answered json action equals accept reject
			answered json action equals reject or json categories exists
			granted json action equals accept
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
			answered not json consents_approved contains {category} or not json consents_denied contains {category}
			granted json consents_approved contains {category}`}},
	},
	{
		// the purposes consented to, __1_51__ or ____; only with the setting for
		// the simplified format
		Name: "consentmanager", Category: "the number of a purpose, such as 51",
		Exempt: Attribute{"data-cmp-ab", "1"},
		rules: []platformRule{{"__cmpcpc*", `
			decode from __
			decode list _
			granted has {category}`}},
		also: "__cmpconsent* __cmpcvc* __cmpccc* __cmpcc",
	},
	{
		// In the other cookie, _ketch_consent_v1_, nothing tells a visitor's yes
		// from what is granted until someone objects; here the legal basis does.
		Name: "ketch", Category: "the code of a purpose, such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"_swb_consent_", `
			decode percent
			decode base64
			decode json
			answered json purposes.{category}.allowed equals true false
			answered json purposes.{category}.allowed equals false or json purposes.{category}.legalBasisCode equals consent_optin consent-optin
			granted json purposes.{category}.allowed equals true`}},
		also: "_ketch_consent_v1_ _swb",
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
		also: "__hs_opt_out __hs_initial_opt_in",
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
		also: "cookie-agreed-version",
	},
	{
		// of the plugin itself; Cookie Compliance, its web service, is hu_compliance
		Name: "cookie_notice", Implied: `its setting "on scroll" or "on click"`,
		rules: []platformRule{{"cookie_notice_accepted", `
			decode percent
			answered equals true false
			granted equals true`}},
	},
	{
		// 1 is what is necessary; the site says what 2 to 4 are for
		Name: "hu_compliance", Category: "the number of a category, from 2 to 4",
		Exempt: Attribute{"data-hu-category", "1"},
		rules: []platformRule{{"hu-consent", `
			decode percent
			decode json
			answered json categories.{category} equals true false
			granted json categories.{category} equals true`}},
	},
	{
		Name: "wpconsent", Category: "such as statistics", Defaults: []string{"statistics"},
		rules: []platformRule{{"wpconsent_preferences", `
			decode percent
			decode json
			answered json {category} equals true false
			granted json {category} equals true`}},
	},
	{
		// i.t is the time of the choice; what was refused is left out
		Name: "c15t", Category: "such as measurement", Defaults: []string{"measurement"},
		rules: []platformRule{{"c15t", `
			decode percent
			decode pairs , :
			answered pair i.t
			granted pair c.{category} 1`}},
	},
	{
		Name: "consent_pro", Category: "such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"fs-consent", `
			decode percent
			decode json
			answered json choices.{category} equals true false
			granted json choices.{category} equals true`}},
	},
	{
		Name: "datagrail", Category: "such as dg-category-performance", Defaults: []string{"dg-category-performance"},
		rules: []platformRule{{"datagrail_consent_preferences datagrail_consent_preferences_s", `
			decode percent
			decode pairs | :
			answered pair {category} 0 1
			granted pair {category} 1`}},
		also: "datagrail_consent_id datagrail_consent_id_s datagrail_consent_version datagrail_consent_version_s",
	},
	{
		Name: "segment", Category: "the name of a category, such as functional",
		Implied: "implyConsentOnInteraction or closeBehavior accept",
		rules: []platformRule{{"tracking-preferences", `
			decode percent
			decode json
			answered json custom.{category} equals true false
			granted json custom.{category} equals true`}},
	},
	{
		Name: "gitbook",
		rules: []platformRule{{"__gitbook_cookie_granted", `
			answered equals yes no
			granted equals yes`}},
	},
	{
		// older versions wrote true once the bar was closed
		Name: "odoo",
		rules: []platformRule{{"website_cookies_bar", `
			decode percent
			decode json
			answered json optional equals true false
			granted json optional equals true`}},
	},
	{
		// it writes true for every category on the first visit
		Name: "liferay", Category: "such as PERFORMANCE", Defaults: []string{"PERFORMANCE"},
		rules: []platformRule{{"CONSENT_TYPE_{category}", `
			answered cookie USER_CONSENT_CONFIGURED true
			answered equals true false
			granted equals true`}},
		also: "USER_CONSENT_CONFIGURED USER_CONSENT_CONFIGURED_DATE",
	},
	{
		// withdrawing deletes the cookie
		Name: "aspnet",
		rules: []platformRule{{".AspNet.Consent", `
			answered equals yes no
			granted equals yes`}},
	},
	{
		Name: "typo3_sg", Category: "the name of a group, such as analytics",
		rules: []platformRule{{"cookie_optin", `
			decode percent
			decode pairs | :
			answered pair {category} 0 1
			granted pair {category} 1`}},
	},
	{
		// {"accept":"true"}, {"reject":"true"}, or the categories accepted
		Name: "cookieadmin", Category: "such as analytics", Defaults: []string{"analytics"},
		rules: []platformRule{{"cookieadmin_consent", `
			decode percent
			decode json
			answered json * equals true
			answered not json accept equals true or not json reject equals true
			granted not json reject equals true
			granted json accept equals true or json {category} equals true`}},
	},
	{
		Name: "wplp", Category: "such as analytics", Defaults: []string{"analytics"},
		Implied: "automatic acceptance on scroll or click",
		rules: []platformRule{{"wpl_user_preference", `
			decode percent
			decode json
			answered cookie wpl_viewed_cookie yes no
			answered json {category} equals yes no
			granted cookie wpl_viewed_cookie yes
			granted json {category} equals yes`}},
		also: "wpl_viewed_cookie wpl_optout_cookie",
	},
	{
		// a service that was refused has no cookie
		Name: "shopware", Category: "the cookie of a service, such as kapa-enabled",
		rules: []platformRule{{"cookie-preference", `
			answered equals 1
			granted cookie {category} 1`}},
	},
	{
		// it keeps a yes for each website, and no refusals
		Name: "magento", Category: "the number of a website, such as 1", Defaults: []string{"1"},
		rules: []platformRule{{"user_allowed_save_cookie", `
			decode percent
			decode json
			answered json {category} equals 1
			granted json {category} equals 1`}},
	},
	{
		// an id for a support form needs purposes 1, to store on and read from
		// the device, and 8, to measure the performance of content
		Name: "tcf", Category: "the number of a purpose, from 1 to 24", Defaults: []string{"1", "8"},
		rules: []platformRule{{"euconsent-v2", `
			decode percent
			decode tcf
			granted purposes {category}`}},
		also: "addtl_consent",
	},
	{
		Name: "gpp", Category: "the number of a purpose, from 1 to 24", Defaults: []string{"1", "8"},
		rules: []platformRule{{"__gpp IABGPP_HDR_GppString", `
			decode percent
			decode gpp
			decode tcf
			granted purposes {category}`}},
		also: "__gpp_sid IABGPP_GppSID",
	},
}
