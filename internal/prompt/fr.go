package prompt

// French has a no-break space before a colon, a semicolon and a question mark.
var french = words{
	tag:         "fr",
	question:    "Un assistant IA peut-il vous proposer une réponse avant l’envoi de ce formulaire\u00a0?",
	sent:        "Si vous acceptez, votre question est transmise à la société Kapa lorsque vous envoyez le formulaire, et l’assistant de Kapa propose une réponse.",
	captcha:     "Pour cela, votre navigateur charge un script de Kapa. Ce script charge un captcha (reCAPTCHA de Google ou hCaptcha), qui vérifie que vous êtes un humain. Kapa et le fournisseur du captcha reçoivent ainsi votre adresse IP et des informations sur votre navigateur.",
	id:          "Le cookie kapa_web_id attribue à votre navigateur un identifiant aléatoire, transmis à Kapa avec chaque question.",
	shared:      "Il est conservé {age}, pour {site} et tous ses sous-domaines\u00a0; à chaque question, le script de Kapa peut le renouveler pour {renewed}.",
	alone:       "Il est conservé {age}, pour {site}\u00a0; à chaque question, le script de Kapa peut le renouveler pour {renewed} et pour tout le domaine.",
	email:       "L’adresse e-mail que vous saisissez dans le formulaire est également transmise à Kapa.",
	user:        "Ce site communique aussi à Kapa, à votre sujet\u00a0: {list}.",
	fingerprint: "Kapa reconnaît votre navigateur à son empreinte, c’est-à-dire à la combinaison de ses caractéristiques. Cela ne demande aucun cookie, et supprimer les cookies ne l’empêche pas.",
	joined:      "Kapa peut ainsi vous associer les questions posées dans ce navigateur, y compris les précédentes.",
	choice:      "Votre réponse est conservée dans un cookie pendant {age}. Vous pouvez la modifier ici à tout moment. Le formulaire fonctionne aussi sans l’assistant.",
	accept:      "Oui, avec l’assistant",
	refuse:      "Non, sans l’assistant",
	change:      "Modifier votre réponse",
	yes:         "Vous avez accepté l’assistant.",
	no:          "Vous avez refusé l’assistant.",
	failed:      "Votre réponse n’a pas pu être enregistrée. Veuillez réessayer.",
	policy:      "Politique de confidentialité (s’ouvre dans un nouvel onglet)",
	keys: map[string]string{
		"unique_client_id": "votre numéro de client ou d’utilisateur",
		"email":            "votre adresse e-mail",
		"company_name":     "le nom de votre entreprise",
		"first_name":       "votre prénom",
		"last_name":        "votre nom de famille",
	},
	hour: "heure", hours: "heures", day: "jour", days: "jours",
}
