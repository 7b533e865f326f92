package wording

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

var english = tongue{
	tag: language.English, speech: "en-US", accents: []string{"en-GB", "en-AU", "en-IN"},
	words: sentences{
		minutes: counted{plural.One: "1 minute", plural.Other: "{n} minutes"},
		seconds: counted{plural.One: "1 second", plural.Other: "{n} seconds"},

		textCode: line{
			"{code} is your {brand} code. It expires in {life}. Don't share it.",
			"{code} is your code. It expires in {life}. Don't share it.",
		},
		textCodeFor: line{
			"{code} is your {brand} code for:\n{fields}\nIt expires in {life}. Don't share it.",
			"{code} is your code for:\n{fields}\nIt expires in {life}. Don't share it.",
		},
		textAsk:     line{"{brand}: is this you?", "Is this you?"},
		textAnswer:  "Answer within {life}: {link}",
		textReply:   "Reply YES to approve, NO to refuse.",
		textNumber:  "Reply with the number on your screen to approve, NO to refuse.",
		textExpires: "Expires in {life}.",

		callCode:        line{"Hello. This is {brand}, calling with your code.", "Hello. We are calling with your code."},
		callNotice:      line{"Hello. This is {brand} with a message for you.", "Hello. We are calling with a message for you."},
		callPress:       "Press any key to hear your code.",
		callDigits:      line{"Your {brand} code is: {digits}.", "Your code is: {digits}."},
		callAgain:       "Once more, your code is: {digits}.",
		callCodeFor:     "This code is for:",
		callAsk:         line{"Hello. This is {brand}, asking for your approval.", "Hello. We are asking for your approval."},
		callFields:      "You are agreeing to:",
		callAction:      "The request is: {action}.",
		callPlace:       "It comes from: {place}.",
		callNetwork:     "It comes from the network address {ip}.",
		callKeys:        "Press 1 to approve, 2 to deny, or 3 if this wasn't you.",
		callOtherKey:    "That key is not one of the choices.",
		callNumber:      "Enter the {n}-digit number shown on your screen, then press hash. To refuse, press star, then hash. If this wasn't you, press 0, then hash.",
		callOtherNumber: "That is not a {n}-digit number.",
		callMismatch:    "That number doesn't match. Please enter it once more.",
		callMatched:     "Thank you. The number matches. The request is approved.",
		callNoMatch:     "That number doesn't match. The request is refused. You approved nothing.",
		callTaken:       "Thank you. We have received your answer.",
		callApproved:    "Thank you. We have received your approval.",
		callDenied:      "Thank you. We have received your refusal. You approved nothing.",
		callNotMe: line{
			"Thank you. You approved nothing, and {brand} will learn that this wasn't you.",
			"Thank you. You approved nothing, and we have noted that this wasn't you.",
		},
		callClosed:  "This request is no longer open.",
		callGoodbye: "Goodbye.",

		mailCodeSubject:  line{"Your {brand} code", "Your code"},
		mailCodeHeadline: "Your code",
		mailCodeLead: line{
			"Enter this code where {brand} asked you for it.",
			"Enter this code where you were asked for it.",
		},
		mailCodeExpires: "It expires in {life}.",
		mailCodeKeep: line{
			"Don't share this code. Nobody from {brand} will ask you for it.",
			"Don't share this code. Nobody who works for us will ask you for it.",
		},
		mailCodeWhy: line{
			"You get this message because someone asked {brand} for a code with your address. If it wasn't you, you can ignore it: without the code nothing happens.",
			"You get this message because someone asked for a code with your address. If it wasn't you, you can ignore it: without the code nothing happens.",
		},
		mailLinkSubject:  line{"{brand}: is this you?", "Is this you?"},
		mailLinkHeadline: "Is this you?",
		mailLinkLead: line{
			"{brand} asks you to approve or deny this request.",
			"You are asked to approve or deny this request.",
		},
		mailLinkButton:  "Review the request",
		mailLinkAddress: "If the button doesn't work, open this address:",
		mailLinkExpires: "The request is open for {life}.",
		mailLinkKeep:    "Opening the page approves nothing: you decide there. Don't forward this message.",
		mailLinkWhy: line{
			"You get this message because someone asked {brand} for something in your name. If it wasn't you, open the page and press \"This wasn't me\".",
			"You get this message because someone asked for something in your name. If it wasn't you, open the page and press \"This wasn't me\".",
		},

		pushTitle: line{"{brand}: is this you?", "Is this you?"},
		pushBody:  "Open to approve or deny.",

		labels: labels{action: "Request", place: "Place", device: "Device", network: "Network"},
	},
}
