/** What etcd's failures mean to the person who runs the server. */
import { AppError, messageOf } from "../../core/errors.ts";
import { status } from "@grpc/grpc-js";

/** Without a member, after our own time was up, and what a member answers that has lost the others. */
const UNANSWERED: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.UNKNOWN,
]);

/** Nobody answered, or a member that cannot: another one may. */
export function isUnanswered(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && UNANSWERED.has(code);
}

/** AppError `unreachable` or `io` with advice; `verb` says what could not be done. */
export function etcdError(verb: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const text = detailsOf(error);
  const { hint, code } = adviceFor(codeOf(error), text);
  return new AppError(code, `cannot ${verb} etcd: ${text}`, { cause: error, hint, retryable: code === "unreachable" });
}

/** Tells whether etcd has no room: it reads and deletes, and takes nothing. */
export function isFull(error: unknown): boolean {
  return messageOf(error).includes(SPACE_EXCEEDED);
}

const SPACE_EXCEEDED = "database space exceeded";

function adviceFor(
  code: number | undefined,
  text: string,
): { readonly code: "io" | "unreachable"; readonly hint: string } {
  if (text.includes(SPACE_EXCEEDED)) {
    return { code: "io", hint: "compact and defragment etcd, then disarm its alarm (etcdctl alarm disarm)" };
  }
  if (code === status.UNAVAILABLE || code === status.CANCELLED) {
    return {
      code: "unreachable",
      hint: "check --etcd-servers and that a majority of etcd's members is up; nothing stored is lost",
    };
  }
  if (code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED) {
    return { code: "io", hint: "check --etcd-cafile, --etcd-certfile and --etcd-keyfile" };
  }
  return { code: "io", hint: "look at etcd's own log" };
}

function codeOf(error: unknown): number | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "number" ? error.code : undefined;
}

/** etcd's own words, or what went wrong on the way to it, without what the gRPC library says of itself. */
function detailsOf(error: unknown): string {
  if (codeOf(error) === status.CANCELLED) return "no answer in time";
  const text = error instanceof Error && "details" in error && typeof error.details === "string"
    ? error.details
    : messageOf(error);
  return /^No connection established\. Last error: (?:Error: )?(.*?)\.? Resolution note:/.exec(text)?.[1] ?? text;
}
