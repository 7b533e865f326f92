package wording

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// The text messages say "clave": "código" has a letter outside the GSM 7-bit alphabet.
var spanish = tongue{
	tag: language.Spanish, speech: "es-ES", accents: []string{"es-MX", "es-US"},
	words: sentences{
		minutes: counted{plural.One: "1 minuto", plural.Other: "{n} minutos"},
		seconds: counted{plural.One: "1 segundo", plural.Other: "{n} segundos"},

		textCode: line{
			"{code} es su clave de {brand}. Caduca en {life}. No la comparta.",
			"{code} es su clave. Caduca en {life}. No la comparta.",
		},
		textCodeFor: line{
			"{code} es su clave de {brand} para:\n{fields}\nCaduca en {life}. No la comparta.",
			"{code} es su clave para:\n{fields}\nCaduca en {life}. No la comparta.",
		},
		textAsk:     line{"{brand}: ¿es usted?", "¿Es usted?"},
		textAnswer:  "Tiene {life} para responder: {link}",
		textReply:   "Responda SI para aprobar, NO para rechazar.",
		textNumber:  "Responda con la cifra de su pantalla para aprobar, NO para rechazar.",
		textExpires: "Caduca en {life}.",

		callCode:        line{"Hola. Le llamamos de {brand} con su código.", "Hola. Le llamamos para darle su código."},
		callNotice:      line{"Hola. Le llamamos de {brand} con un mensaje para usted.", "Hola. Le llamamos con un mensaje para usted."},
		callPress:       "Pulse cualquier tecla para escuchar su código.",
		callDigits:      line{"Su código de {brand} es: {digits}.", "Su código es: {digits}."},
		callAgain:       "Una vez más, su código es: {digits}.",
		callCodeFor:     "Este código es para:",
		callAsk:         line{"Hola. Le llamamos de {brand} para pedir su aprobación.", "Hola. Le llamamos para pedir su aprobación."},
		callFields:      "Usted acepta:",
		callAction:      "La solicitud es: {action}.",
		callPlace:       "Procede de: {place}.",
		callNetwork:     "Procede de la dirección de red {ip}.",
		callKeys:        "Pulse 1 para aprobar, 2 para rechazar, o 3 si no ha sido usted.",
		callOtherKey:    "Esa tecla no es una de las opciones.",
		callNumber:      "Marque el número de {n} cifras que aparece en su pantalla y después pulse almohadilla. Para rechazar, pulse asterisco y después almohadilla. Si no ha sido usted, pulse 0 y después almohadilla.",
		callOtherNumber: "Ese no es un número de {n} cifras.",
		callMismatch:    "Ese número no coincide. Márquelo una vez más.",
		callMatched:     "Gracias. El número coincide. La solicitud queda aprobada.",
		callNoMatch:     "Ese número no coincide. La solicitud queda rechazada. No ha aprobado nada.",
		callTaken:       "Gracias. Hemos recibido su respuesta.",
		callApproved:    "Gracias. Hemos recibido su aprobación.",
		callDenied:      "Gracias. Hemos recibido su rechazo. No ha aprobado nada.",
		callNotMe: line{
			"Gracias. No ha aprobado nada, y {brand} sabrá que no ha sido usted.",
			"Gracias. No ha aprobado nada, y hemos anotado que no ha sido usted.",
		},
		callClosed:  "Esta solicitud ya no está abierta.",
		callGoodbye: "Adiós.",

		mailCodeSubject:  line{"Su código de {brand}", "Su código"},
		mailCodeHeadline: "Su código",
		mailCodeLead: line{
			"Escriba este código donde {brand} se lo ha pedido.",
			"Escriba este código donde se lo han pedido.",
		},
		mailCodeExpires: "Caduca en {life}.",
		mailCodeKeep: line{
			"No comparta este código. Nadie de {brand} se lo pedirá.",
			"No comparta este código. Nadie de nuestro equipo se lo pedirá.",
		},
		mailCodeWhy: line{
			"Recibe este mensaje porque alguien ha pedido a {brand} un código con su dirección. Si no ha sido usted, puede ignorarlo: sin el código no ocurre nada.",
			"Recibe este mensaje porque alguien ha pedido un código con su dirección. Si no ha sido usted, puede ignorarlo: sin el código no ocurre nada.",
		},
		mailLinkSubject:  line{"{brand}: ¿es usted?", "¿Es usted?"},
		mailLinkHeadline: "¿Es usted?",
		mailLinkLead: line{
			"{brand} le pide que apruebe o rechace esta solicitud.",
			"Le pedimos que apruebe o rechace esta solicitud.",
		},
		mailLinkButton:  "Ver la solicitud",
		mailLinkAddress: "Si el botón no funciona, abra esta dirección:",
		mailLinkExpires: "La solicitud estará abierta durante {life}.",
		mailLinkKeep:    "Abrir la página no aprueba nada: usted decide allí. No reenvíe este mensaje.",
		mailLinkWhy: line{
			"Recibe este mensaje porque alguien ha pedido algo a {brand} en su nombre. Si no ha sido usted, abra la página e indique que no ha sido usted.",
			"Recibe este mensaje porque alguien ha pedido algo en su nombre. Si no ha sido usted, abra la página e indique que no ha sido usted.",
		},

		pushTitle: line{"{brand}: ¿es usted?", "¿Es usted?"},
		pushBody:  "Abra para aprobar o rechazar.",

		labels: labels{action: "Solicitud", place: "Lugar", device: "Dispositivo", network: "Red"},
	},
}
