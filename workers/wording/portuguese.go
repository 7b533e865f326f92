package wording

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// The text messages avoid "código" and "não": both have letters outside the GSM 7-bit alphabet.
var portuguese = tongue{
	tag: language.Portuguese, speech: "pt-BR", accents: []string{"pt-PT"},
	words: sentences{
		minutes: counted{plural.One: "1 minuto", plural.Other: "{n} minutos"},
		seconds: counted{plural.One: "1 segundo", plural.Other: "{n} segundos"},

		textCode: line{
			"{code} é o seu PIN para {brand}. Expira em {life}. Nunca o revele a outra pessoa.",
			"{code} é o seu PIN. Expira em {life}. Nunca o revele a outra pessoa.",
		},
		textCodeFor: line{
			"{code} é o seu PIN de {brand} para:\n{fields}\nExpira em {life}. Nunca o revele a outra pessoa.",
			"{code} é o seu PIN para:\n{fields}\nExpira em {life}. Nunca o revele a outra pessoa.",
		},
		textAsk:     line{"{brand}: este pedido é seu?", "Este pedido é seu?"},
		textAnswer:  "Responda em até {life}: {link}",
		textReply:   "Responda SIM para aprovar, NAO para recusar.",
		textNumber:  "Responda com os algarismos da sua tela para aprovar, NAO para recusar.",
		textExpires: "Expira em {life}.",

		callCode:        line{"Olá. Aqui é {brand}, com o seu código.", "Olá. Ligamos para informar o seu código."},
		callNotice:      line{"Olá. Aqui é {brand}, com uma mensagem para você.", "Olá. Ligamos com uma mensagem para você."},
		callPress:       "Pressione qualquer tecla para ouvir o seu código.",
		callDigits:      line{"O seu código para {brand} é: {digits}.", "O seu código é: {digits}."},
		callAgain:       "Mais uma vez, o seu código é: {digits}.",
		callCodeFor:     "Este código é para:",
		callAsk:         line{"Olá. Aqui é {brand}, para pedir a sua aprovação.", "Olá. Ligamos para pedir a sua aprovação."},
		callFields:      "A sua aprovação é para:",
		callAction:      "O pedido é: {action}.",
		callPlace:       "Ele vem de: {place}.",
		callNetwork:     "Ele vem do endereço de rede {ip}.",
		callKeys:        "Pressione 1 para aprovar, 2 para recusar, ou 3 se este pedido não foi seu.",
		callOtherKey:    "Essa tecla não é uma das opções.",
		callNumber:      "Digite o número de {n} dígitos mostrado na sua tela e depois pressione jogo da velha. Para recusar, pressione asterisco e depois jogo da velha. Se este pedido não foi seu, pressione 0 e depois jogo da velha.",
		callOtherNumber: "Esse não é um número de {n} dígitos.",
		callMismatch:    "Esse número não confere. Digite-o mais uma vez.",
		callMatched:     "Obrigado. O número confere. O pedido foi aprovado.",
		callNoMatch:     "Esse número não confere. O pedido foi recusado. Nada foi aprovado.",
		callTaken:       "Obrigado. Recebemos a sua resposta.",
		callApproved:    "Obrigado. Recebemos a sua aprovação.",
		callDenied:      "Obrigado. Recebemos a sua recusa. Nada foi aprovado.",
		callNotMe: line{
			"Obrigado. Nada foi aprovado, e {brand} saberá que o pedido não foi seu.",
			"Obrigado. Nada foi aprovado, e registramos que o pedido não foi seu.",
		},
		callClosed:  "Este pedido já não está aberto.",
		callGoodbye: "Até logo.",

		mailCodeSubject:  line{"O seu código para {brand}", "O seu código"},
		mailCodeHeadline: "O seu código",
		mailCodeLead: line{
			"Digite este código onde {brand} o pediu.",
			"Digite este código onde ele foi pedido.",
		},
		mailCodeExpires: "Expira em {life}.",
		mailCodeKeep: line{
			"Não revele este código. Ninguém de {brand} o pedirá.",
			"Não revele este código. Ninguém da nossa equipe o pedirá.",
		},
		mailCodeWhy: line{
			"Esta mensagem foi enviada porque alguém pediu a {brand} um código com o seu endereço. Se o pedido não foi seu, pode ignorá-la: sem o código nada acontece.",
			"Esta mensagem foi enviada porque alguém pediu um código com o seu endereço. Se o pedido não foi seu, pode ignorá-la: sem o código nada acontece.",
		},
		mailLinkSubject:  line{"{brand}: este pedido é seu?", "Este pedido é seu?"},
		mailLinkHeadline: "Este pedido é seu?",
		mailLinkLead: line{
			"{brand} pede que aprove ou recuse este pedido.",
			"Pedimos que aprove ou recuse este pedido.",
		},
		mailLinkButton:  "Ver o pedido",
		mailLinkAddress: "Se o botão não funcionar, abra este endereço:",
		mailLinkExpires: "O pedido fica aberto durante {life}.",
		mailLinkKeep:    "Abrir a página não aprova nada: a decisão é tomada lá. Não encaminhe esta mensagem.",
		mailLinkWhy: line{
			"Esta mensagem foi enviada porque alguém fez um pedido a {brand} em seu nome. Se o pedido não foi seu, abra a página e indique que não foi seu.",
			"Esta mensagem foi enviada porque alguém fez um pedido em seu nome. Se o pedido não foi seu, abra a página e indique que não foi seu.",
		},

		pushTitle: line{"{brand}: este pedido é seu?", "Este pedido é seu?"},
		pushBody:  "Abra para aprovar ou recusar.",

		labels: labels{action: "Pedido", place: "Lugar", device: "Dispositivo", network: "Rede"},
	},
}
