/** Flags of the commands that ask for a certificate. */
import { KEY_USAGES } from "../../core/kube/certificates_v1.ts";
import { KEY_ALGORITHMS } from "../../core/pki/key_algorithm.ts";
import { choiceFlag, durationFlag } from "../framework/flags.ts";

/** `--key-type`. */
export const KEY_TYPE = choiceFlag({
  choices: KEY_ALGORITHMS,
  default: "ecdsa-p256",
  placeholder: "TYPE",
  summary: "Kind of key to make.",
});

/** `--timeout`; client-go's certificate manager waits as long. */
export const REQUEST_TIMEOUT = durationFlag({
  default: "15m",
  summary: "How long to wait for approval and certificate.",
});

/** The usages of the API as they can be typed without quotes. */
export const USAGE_CHOICES: readonly string[] = KEY_USAGES.map((usage) => usage.replaceAll(" ", "-"));
