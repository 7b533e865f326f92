package wording

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// A brand is neither masculine nor feminine here: no verb agrees with it. The sentences are in Modern Standard
// Arabic, and arb is the name of the voice for it at Twilio, whose other Arabic voices have the sound of a country.
// Lengths of time stand behind a preposition, so in the genitive.
var arabic = tongue{
	tag: language.Arabic, speech: "arb", fromRight: true,
	words: sentences{
		minutes: counted{
			plural.One: "دقيقة واحدة", plural.Two: "دقيقتين", plural.Few: "{n} دقائق", plural.Many: "{n} دقيقة", plural.Other: "{n} دقيقة",
		},
		seconds: counted{
			plural.One: "ثانية واحدة", plural.Two: "ثانيتين", plural.Few: "{n} ثوانٍ", plural.Many: "{n} ثانية", plural.Other: "{n} ثانية",
		},

		textCode: line{
			"{code} رمزك لدى {brand}. صالح لمدة {life}. لا تشاركه.",
			"{code} رمزك. صالح لمدة {life}. لا تشاركه.",
		},
		textCodeFor: line{
			"{code} رمزك لدى {brand} من أجل:\n{fields}\nصالح لمدة {life}. لا تشاركه.",
			"{code} رمزك من أجل:\n{fields}\nصالح لمدة {life}. لا تشاركه.",
		},
		textAsk:     line{"{brand}: هل هذا أنت؟", "هل هذا أنت؟"},
		textAnswer:  "أجب خلال {life}: {link}",
		textReply:   "أرسل «نعم» للموافقة أو «لا» للرفض.",
		textNumber:  "أرسل الرقم الظاهر على شاشتك للموافقة أو «لا» للرفض.",
		textExpires: "صالح لمدة {life}.",

		callCode:        line{"مرحبًا. هذه مكالمة من {brand} لإبلاغك برمزك.", "مرحبًا. نتصل بك لإبلاغك برمزك."},
		callNotice:      line{"مرحبًا. هذه مكالمة من {brand} لإبلاغك برسالة.", "مرحبًا. نتصل بك لإبلاغك برسالة."},
		callPress:       "اضغط أي مفتاح لسماع رمزك.",
		callDigits:      line{"رمزك لدى {brand} هو: {digits}.", "رمزك هو: {digits}."},
		callAgain:       "مرة أخرى، رمزك هو: {digits}.",
		callCodeFor:     "هذا الرمز من أجل:",
		callAsk:         line{"مرحبًا. هذه مكالمة من {brand} لطلب موافقتك.", "مرحبًا. نتصل بك لطلب موافقتك."},
		callFields:      "المطلوب موافقتك على:",
		callAction:      "الطلب هو: {action}.",
		callPlace:       "مصدر الطلب: {place}.",
		callNetwork:     "مصدر الطلب عنوان الشبكة {ip}.",
		callKeys:        "اضغط 1 للموافقة، أو 2 للرفض، أو 3 إذا لم تكن أنت من طلب ذلك.",
		callOtherKey:    "هذا المفتاح ليس من الخيارات.",
		callNumber:      "أدخل الرقم الظاهر على شاشتك، وعدد خاناته {n}، ثم اضغط مفتاح المربع. للرفض، اضغط مفتاح النجمة ثم مفتاح المربع. وإذا لم تكن أنت من طلب ذلك، فاضغط 0 ثم مفتاح المربع.",
		callOtherNumber: "عدد خانات هذا الرقم ليس {n}.",
		callMismatch:    "هذا الرقم غير مطابق. يرجى إدخاله مرة واحدة أخرى.",
		callMatched:     "شكرًا لك. الرقم مطابق. تمت الموافقة على الطلب.",
		callNoMatch:     "هذا الرقم غير مطابق. رُفض الطلب. لم توافق على أي شيء.",
		callTaken:       "شكرًا لك. وصلتنا إجابتك.",
		callApproved:    "شكرًا لك. وصلتنا موافقتك.",
		callDenied:      "شكرًا لك. وصلنا رفضك. لم توافق على أي شيء.",
		callNotMe: line{
			"شكرًا لك. لم توافق على أي شيء، وسيتم إبلاغ {brand} بأنك لست صاحب الطلب.",
			"شكرًا لك. لم توافق على أي شيء، وقد سجّلنا أنك لست صاحب الطلب.",
		},
		callClosed:  "لم يعد هذا الطلب مفتوحًا.",
		callGoodbye: "مع السلامة.",

		mailCodeSubject:  line{"رمزك لدى {brand}", "رمزك"},
		mailCodeHeadline: "رمزك",
		mailCodeLead: line{
			"أدخل هذا الرمز حيث طُلب منك لدى {brand}.",
			"أدخل هذا الرمز حيث طُلب منك.",
		},
		mailCodeExpires: "الرمز صالح لمدة {life}.",
		mailCodeKeep: line{
			"لا تشارك هذا الرمز مع أحد. لن يطلبه منك أي شخص من {brand}.",
			"لا تشارك هذا الرمز مع أحد. لن يطلبه منك أي شخص يعمل لدينا.",
		},
		mailCodeWhy: line{
			"وصلتك هذه الرسالة لأن شخصًا ما طلب رمزًا من {brand} باستخدام عنوانك. إذا لم تكن أنت، فيمكنك تجاهلها: لا يحدث شيء بدون الرمز.",
			"وصلتك هذه الرسالة لأن شخصًا ما طلب رمزًا باستخدام عنوانك. إذا لم تكن أنت، فيمكنك تجاهلها: لا يحدث شيء بدون الرمز.",
		},
		mailLinkSubject:  line{"{brand}: هل هذا أنت؟", "هل هذا أنت؟"},
		mailLinkHeadline: "هل هذا أنت؟",
		mailLinkLead: line{
			"يرجى الموافقة على هذا الطلب من {brand} أو رفضه.",
			"يرجى الموافقة على هذا الطلب أو رفضه.",
		},
		mailLinkButton:  "مراجعة الطلب",
		mailLinkAddress: "إذا لم يعمل الزر، فافتح هذا العنوان:",
		mailLinkExpires: "الطلب مفتوح لمدة {life}.",
		mailLinkKeep:    "فتح الصفحة لا يعني الموافقة على شيء: القرار لك هناك. لا ترسل هذه الرسالة إلى غيرك.",
		mailLinkWhy: line{
			"وصلتك هذه الرسالة لأن شخصًا ما طلب شيئًا باسمك لدى {brand}. إذا لم تكن أنت، فافتح الصفحة واضغط «لم أكن أنا».",
			"وصلتك هذه الرسالة لأن شخصًا ما طلب شيئًا باسمك. إذا لم تكن أنت، فافتح الصفحة واضغط «لم أكن أنا».",
		},

		pushTitle: line{"{brand}: هل هذا أنت؟", "هل هذا أنت؟"},
		pushBody:  "افتح للموافقة أو الرفض.",

		labels: labels{action: "الطلب", place: "المكان", device: "الجهاز", network: "الشبكة"},
	},
}
