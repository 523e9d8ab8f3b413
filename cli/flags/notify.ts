/** The flags for notifications, of `up`, `signer`, `approver` and `doctor`. */
import { fileFlag, inGroup, parsedFlag, switchFlag } from "../framework/flags.ts";
import { atMostOneOf, needs } from "../framework/rules.ts";
import { parseReceiver } from "../../core/lib/proxy.ts";
import { ok } from "../../core/lib/result.ts";

export const NOTIFY_FLAGS = inGroup("Notification", {
  notify: {
    ...parsedFlag({
      placeholder: "URL",
      summary:
        "URL that receives a message when something needs a person, such as a pending request: a topic of ntfy, " +
        "an application of Gotify, or your own program. See: tlsboot guide notifications.",
      parse: (text) => {
        const url = parseReceiver(text);
        return url.ok ? ok(text) : url;
      },
    }),
    isSecret: true,
  },
  notifyFile: fileFlag({
    summary: "File with that URL, readable by its owner only, for a URL that contains a token or a password.",
  }),
  notifyInsecure: switchFlag({ summary: "Allow an http:// URL for notifications, whose text others can then read." }),
  notifyKeyFile: fileFlag({
    summary: "File with the key of an HMAC-SHA-256 that each notification has in the header X-Tlsboot-Signature, " +
      "readable by its owner only.",
  }),
  notifyCaFile: fileFlag({
    summary:
      "PEM bundle of the CAs that are trusted for the receiver of notifications. Without it, those of the system.",
  }),
});

export const NOTIFY_RULES = [
  atMostOneOf("notify", "notifyFile"),
  needs(["notifyInsecure", "notifyKeyFile", "notifyCaFile"], "notify", "notifyFile"),
] as const;
