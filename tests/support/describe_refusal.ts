/** The allowed answers of a decoder to bad input: everything that the API's own mapping of errors makes a 4xx. */
import { StatusError, statusFromError } from "../../core/kube/status/status.ts";

/**
 * The code and message of a refusal. Throws the error itself when the API would answer it with anything but a 4xx.
 *
 * @param meant Statuses beyond 4xx that are answered on purpose, since kube-apiserver does
 */
export function describeRefusal(error: unknown, meant: readonly number[] = []): string {
  const { status } = statusFromError(error);
  const code = status.code ?? 0;
  const isMeant = error instanceof StatusError && meant.includes(code);
  if ((code < 400 || code > 499) && !isMeant) throw error;
  return `${code} ${status.message ?? ""}`;
}

/** Runs a decoder that may refuse; throws only what would be no 4xx. */
export function refusable(decode: () => unknown, meant: readonly number[] = []): void {
  try {
    decode();
  } catch (error) {
    describeRefusal(error, meant);
  }
}
