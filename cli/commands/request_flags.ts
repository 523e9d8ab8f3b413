/** Flags of the commands that ask for a certificate. */
import { KEY_USAGES } from "../../core/kube/certificates_v1.ts";
import { KEY_ALGORITHMS } from "../../core/pki/key_algorithm.ts";
import { choiceFlag, durationFlag, type Flag, type FlagOptions } from "../framework/flags.ts";

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

/**
 * The life that a certificate is asked for. The API takes no less than ten minutes
 * (`pkg/apis/certificates/validation/validation.go`) and keeps it in seconds in an int32.
 */
export function lifeFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<number | (D extends string ? never : undefined)> {
  return durationFlag({ ...options, min: "10m", max: "596523h" });
}

/** The usages of the API as they can be typed without quotes. */
export const USAGE_CHOICES: readonly string[] = KEY_USAGES.map((usage) => usage.replaceAll(" ", "-"));
