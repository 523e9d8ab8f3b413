/** Distinguishes refusals, which the API answers with a 4xx, from other errors of a decoder. */
import { StatusError, statusFromError } from "../../core/kube/status/status.ts";

/**
 * Returns the code and message of a refusal. Throws the error itself when the API would answer anything but a 4xx.
 *
 * @param allowed Other codes that kube-apiserver answers
 */
export function describeRefusal(error: unknown, allowed: readonly number[] = []): string {
  const { status } = statusFromError(error);
  const code = status.code ?? 0;
  const isAllowed = error instanceof StatusError && allowed.includes(code);
  if ((code < 400 || code > 499) && !isAllowed) throw error;
  return `${code} ${status.message ?? ""}`;
}

/** Runs a decoder that may refuse its input; throws errors that the API would not answer with a 4xx. */
export function refusable(decode: () => unknown, allowed: readonly number[] = []): void {
  try {
    decode();
  } catch (error) {
    describeRefusal(error, allowed);
  }
}
