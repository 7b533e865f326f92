package wording

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

var german = tongue{
	tag: language.German, speech: "de-DE",
	words: sentences{
		minutes: counted{plural.One: "1 Minute", plural.Other: "{n} Minuten"},
		seconds: counted{plural.One: "1 Sekunde", plural.Other: "{n} Sekunden"},

		textCode: line{
			"{code} ist Ihr Code für {brand}. Er läuft in {life} ab. Geben Sie ihn nicht weiter.",
			"{code} ist Ihr Code. Er läuft in {life} ab. Geben Sie ihn nicht weiter.",
		},
		textCodeFor: line{
			"{code} ist Ihr Code von {brand} für:\n{fields}\nEr läuft in {life} ab. Geben Sie ihn nicht weiter.",
			"{code} ist Ihr Code für:\n{fields}\nEr läuft in {life} ab. Geben Sie ihn nicht weiter.",
		},
		textAsk:     line{"{brand}: Sind Sie das?", "Sind Sie das?"},
		textAnswer:  "Antworten Sie binnen {life}: {link}",
		textReply:   "Antworten Sie JA zum Bestätigen, NEIN zum Ablehnen.",
		textNumber:  "Antworten Sie mit der Zahl von Ihrem Bildschirm zum Bestätigen, NEIN zum Ablehnen.",
		textExpires: "Läuft in {life} ab.",

		callCode:        line{"Guten Tag. Hier ist {brand} mit Ihrem Code.", "Guten Tag. Wir rufen wegen Ihres Codes an."},
		callNotice:      line{"Guten Tag. Hier ist {brand} mit einer Nachricht für Sie.", "Guten Tag. Wir rufen mit einer Nachricht für Sie an."},
		callPress:       "Drücken Sie eine beliebige Taste, um Ihren Code zu hören.",
		callDigits:      line{"Ihr Code für {brand} lautet: {digits}.", "Ihr Code lautet: {digits}."},
		callAgain:       "Noch einmal, Ihr Code lautet: {digits}.",
		callCodeFor:     "Dieser Code gilt für:",
		callAsk:         line{"Guten Tag. Hier ist {brand} mit der Bitte um Ihre Bestätigung.", "Guten Tag. Wir bitten um Ihre Bestätigung."},
		callFields:      "Sie stimmen zu:",
		callAction:      "Es geht um: {action}.",
		callPlace:       "Die Anfrage kommt von: {place}.",
		callNetwork:     "Die Anfrage kommt von der Netzwerkadresse {ip}.",
		callKeys:        "Drücken Sie 1 zum Bestätigen, 2 zum Ablehnen, oder 3, wenn Sie das nicht waren.",
		callOtherKey:    "Diese Taste steht nicht zur Auswahl.",
		callNumber:      "Geben Sie die {n}-stellige Zahl von Ihrem Bildschirm ein und drücken Sie dann die Rautetaste. Zum Ablehnen drücken Sie die Sterntaste und dann die Rautetaste. Waren Sie das nicht, drücken Sie 0 und dann die Rautetaste.",
		callOtherNumber: "Das ist keine {n}-stellige Zahl.",
		callMismatch:    "Diese Zahl stimmt nicht überein. Bitte geben Sie sie noch einmal ein.",
		callMatched:     "Vielen Dank. Die Zahl stimmt überein. Die Anfrage ist bestätigt.",
		callNoMatch:     "Diese Zahl stimmt nicht überein. Die Anfrage ist abgelehnt. Sie haben nichts bestätigt.",
		callTaken:       "Vielen Dank. Ihre Antwort ist eingegangen.",
		callApproved:    "Vielen Dank. Ihre Bestätigung ist eingegangen.",
		callDenied:      "Vielen Dank. Ihre Ablehnung ist eingegangen. Sie haben nichts bestätigt.",
		callNotMe: line{
			"Vielen Dank. Sie haben nichts bestätigt, und {brand} erfährt, dass Sie das nicht waren.",
			"Vielen Dank. Sie haben nichts bestätigt, und wir haben vermerkt, dass Sie das nicht waren.",
		},
		callClosed:  "Diese Anfrage ist nicht mehr offen.",
		callGoodbye: "Auf Wiederhören.",

		mailCodeSubject:  line{"Ihr Code für {brand}", "Ihr Code"},
		mailCodeHeadline: "Ihr Code",
		mailCodeLead: line{
			"Geben Sie diesen Code dort ein, wo {brand} danach gefragt hat.",
			"Geben Sie diesen Code dort ein, wo Sie danach gefragt wurden.",
		},
		mailCodeExpires: "Er läuft in {life} ab.",
		mailCodeKeep: line{
			"Geben Sie diesen Code nicht weiter. Niemand von {brand} wird Sie danach fragen.",
			"Geben Sie diesen Code nicht weiter. Niemand von uns wird Sie danach fragen.",
		},
		mailCodeWhy: line{
			"Sie erhalten diese Nachricht, weil jemand bei {brand} mit Ihrer Adresse einen Code angefordert hat. Waren Sie das nicht, können Sie sie ignorieren: Ohne den Code geschieht nichts.",
			"Sie erhalten diese Nachricht, weil jemand mit Ihrer Adresse einen Code angefordert hat. Waren Sie das nicht, können Sie sie ignorieren: Ohne den Code geschieht nichts.",
		},
		mailLinkSubject:  line{"{brand}: Sind Sie das?", "Sind Sie das?"},
		mailLinkHeadline: "Sind Sie das?",
		mailLinkLead: line{
			"{brand} bittet Sie, diese Anfrage zu bestätigen oder abzulehnen.",
			"Bitte bestätigen Sie diese Anfrage, oder lehnen Sie sie ab.",
		},
		mailLinkButton:  "Anfrage ansehen",
		mailLinkAddress: "Falls die Schaltfläche nicht funktioniert, öffnen Sie diese Adresse:",
		mailLinkExpires: "Die Anfrage ist {life} lang offen.",
		mailLinkKeep:    "Das Öffnen der Seite bestätigt nichts: Sie entscheiden dort. Leiten Sie diese Nachricht nicht weiter.",
		mailLinkWhy: line{
			"Sie erhalten diese Nachricht, weil jemand bei {brand} in Ihrem Namen etwas angefordert hat. Waren Sie das nicht, öffnen Sie die Seite und wählen Sie, dass Sie es nicht waren.",
			"Sie erhalten diese Nachricht, weil jemand in Ihrem Namen etwas angefordert hat. Waren Sie das nicht, öffnen Sie die Seite und wählen Sie, dass Sie es nicht waren.",
		},

		pushTitle: line{"{brand}: Sind Sie das?", "Sind Sie das?"},
		pushBody:  "Zum Bestätigen oder Ablehnen öffnen.",

		labels: labels{action: "Anfrage", place: "Ort", device: "Gerät", network: "Netzwerk"},
	},
}
