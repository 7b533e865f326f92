package wording

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

var french = tongue{
	tag: language.French, speech: "fr-FR", accents: []string{"fr-CA"},
	words: sentences{
		minutes: counted{plural.One: "1 minute", plural.Other: "{n} minutes"},
		seconds: counted{plural.One: "1 seconde", plural.Other: "{n} secondes"},

		textCode: line{
			"{code} est votre code {brand}. Il expire dans {life}. Ne le partagez pas.",
			"{code} est votre code. Il expire dans {life}. Ne le partagez pas.",
		},
		textCodeFor: line{
			"{code} est votre code {brand} pour :\n{fields}\nIl expire dans {life}. Ne le partagez pas.",
			"{code} est votre code pour :\n{fields}\nIl expire dans {life}. Ne le partagez pas.",
		},
		textAsk:     line{"{brand} : est-ce vous ?", "Est-ce vous ?"},
		textAnswer:  "Répondez sous {life} : {link}",
		textReply:   "Répondez OUI pour approuver, NON pour refuser.",
		textNumber:  "Répondez par le nombre affiché à l'écran pour approuver, NON pour refuser.",
		textExpires: "Expire dans {life}.",

		callCode:        line{"Bonjour. {brand} vous appelle pour vous donner votre code.", "Bonjour. Nous vous appelons pour vous donner votre code."},
		callNotice:      line{"Bonjour. {brand} vous appelle pour vous transmettre un message.", "Bonjour. Nous vous appelons pour vous transmettre un message."},
		callPress:       "Appuyez sur une touche pour entendre votre code.",
		callDigits:      line{"Votre code {brand} est : {digits}.", "Votre code est : {digits}."},
		callAgain:       "Encore une fois, votre code est : {digits}.",
		callCodeFor:     "Ce code est pour :",
		callAsk:         line{"Bonjour. {brand} vous appelle pour demander votre accord.", "Bonjour. Nous vous appelons pour demander votre accord."},
		callFields:      "Vous donnez votre accord pour :",
		callAction:      "La demande est : {action}.",
		callPlace:       "Elle vient de : {place}.",
		callNetwork:     "Elle vient de l'adresse réseau {ip}.",
		callKeys:        "Appuyez sur 1 pour approuver, sur 2 pour refuser, ou sur 3 si ce n'était pas vous.",
		callOtherKey:    "Cette touche ne fait pas partie des choix.",
		callNumber:      "Saisissez le numéro à {n} chiffres affiché sur votre écran, puis appuyez sur dièse. Pour refuser, appuyez sur étoile, puis sur dièse. Si ce n'était pas vous, appuyez sur 0, puis sur dièse.",
		callOtherNumber: "Ce n'est pas un numéro à {n} chiffres.",
		callMismatch:    "Ce numéro ne correspond pas. Saisissez-le encore une fois.",
		callMatched:     "Merci. Le numéro correspond. La demande est approuvée.",
		callNoMatch:     "Ce numéro ne correspond pas. La demande est refusée. Vous n'avez rien approuvé.",
		callTaken:       "Merci. Nous avons reçu votre réponse.",
		callApproved:    "Merci. Nous avons reçu votre accord.",
		callDenied:      "Merci. Nous avons reçu votre refus. Vous n'avez rien approuvé.",
		callNotMe: line{
			"Merci. Vous n'avez rien approuvé, et {brand} saura que ce n'était pas vous.",
			"Merci. Vous n'avez rien approuvé, et nous avons noté que ce n'était pas vous.",
		},
		callClosed:  "Cette demande n'est plus ouverte.",
		callGoodbye: "Au revoir.",

		mailCodeSubject:  line{"Votre code {brand}", "Votre code"},
		mailCodeHeadline: "Votre code",
		mailCodeLead: line{
			"Saisissez ce code là où {brand} vous l'a demandé.",
			"Saisissez ce code là où il vous a été demandé.",
		},
		mailCodeExpires: "Il expire dans {life}.",
		mailCodeKeep: line{
			"Ne partagez pas ce code. Personne chez {brand} ne vous le demandera.",
			"Ne partagez pas ce code. Personne chez nous ne vous le demandera.",
		},
		mailCodeWhy: line{
			"Vous recevez ce message parce que quelqu'un a demandé un code à {brand} avec votre adresse. Si ce n'était pas vous, vous pouvez l'ignorer : sans le code, rien ne se passe.",
			"Vous recevez ce message parce que quelqu'un a demandé un code avec votre adresse. Si ce n'était pas vous, vous pouvez l'ignorer : sans le code, rien ne se passe.",
		},
		mailLinkSubject:  line{"{brand} : est-ce vous ?", "Est-ce vous ?"},
		mailLinkHeadline: "Est-ce vous ?",
		mailLinkLead: line{
			"{brand} vous demande d'approuver ou de refuser cette demande.",
			"Nous vous demandons d'approuver ou de refuser cette demande.",
		},
		mailLinkButton:  "Voir la demande",
		mailLinkAddress: "Si le bouton ne fonctionne pas, ouvrez cette adresse :",
		mailLinkExpires: "La demande reste ouverte pendant {life}.",
		mailLinkKeep:    "Ouvrir la page n'approuve rien : vous décidez sur place. Ne transférez pas ce message.",
		mailLinkWhy: line{
			"Vous recevez ce message parce que quelqu'un a fait une demande à {brand} en votre nom. Si ce n'était pas vous, ouvrez la page et indiquez que ce n'était pas vous.",
			"Vous recevez ce message parce que quelqu'un a fait une demande en votre nom. Si ce n'était pas vous, ouvrez la page et indiquez que ce n'était pas vous.",
		},

		pushTitle: line{"{brand} : est-ce vous ?", "Est-ce vous ?"},
		pushBody:  "Ouvrez pour approuver ou refuser.",

		labels: labels{action: "Demande", place: "Lieu", device: "Appareil", network: "Réseau"},
	},
}
