/** Errors with advice for the operator: etcd's failures, and a release of etcd that is too old. */
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { GRPC_STATUS, GrpcError } from "./grpc.ts";
import type { EtcdStatus } from "./wire.ts";
import { WriteRefusedError } from "../storage.ts";

/** The statuses of a missing connection, of our own timeout, and of a member that has lost the others. */
const UNANSWERED: ReadonlySet<number> = new Set([
  GRPC_STATUS.unavailable,
  GRPC_STATUS.cancelled,
  GRPC_STATUS.deadlineExceeded,
  GRPC_STATUS.unknown,
]);

/** True when no member answered, or only one that cannot serve, so that another member may succeed. */
export function isUnanswered(error: unknown): boolean {
  if (error instanceof AppError) return error.code === "unreachable";
  return error instanceof GrpcError && UNANSWERED.has(error.status);
}

/** Creates AppError `unreachable` or `io` with advice; `verb` names the failed operation. */
export function etcdError(verb: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const text = getErrorMessage(error);
  const fault = CONNECTION_FAULTS.find(({ pattern }) => pattern.test(text));
  if (fault !== undefined) {
    const { says, hint } = fault;
    return new AppError("unreachable", `cannot ${verb} etcd: ${says}`, { cause: error, hint, retryable: true });
  }
  const { hint, code } = adviceFor(error instanceof GrpcError ? error.status : undefined, text);
  return new AppError(code, `cannot ${verb} etcd: ${text}`, { cause: error, hint, retryable: code === "unreachable" });
}

/** True when the requested revision is compacted. */
export function isCompacted(error: unknown): boolean {
  return getErrorMessage(error).includes("required revision has been compacted");
}

const ATTEMPTS = 5;

/** Runs a read of one revision, and repeats it when etcd has compacted the revision meanwhile. */
export async function retryCompacted<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt === ATTEMPTS || !isCompacted(error)) throw error;
    }
  }
}

/** True when the lease of a write has ended, so that the write did not take place. */
export function isLeaseGone(error: unknown): boolean {
  return getErrorMessage(error).includes("requested lease not found");
}

/** Creates the error of a write to an etcd without space, which still reads and deletes. */
export function fullError(): AppError {
  return etcdError("write", new Error(`etcdserver: mvcc: ${SPACE_EXCEEDED}`));
}

const SPACE_EXCEEDED = "database space exceeded";
const TOO_LARGE = "request is too large";

/** Finds kube-apiserver's answer when etcd has no space or a value is too large; undefined for other failures. */
export function findWriteRefusal(error: unknown): WriteRefusedError | undefined {
  const text = /etcdserver: .*/.exec(getErrorMessage(error))?.[0] ?? "";
  if (text.includes(SPACE_EXCEEDED)) return new WriteRefusedError(text, "full", error);
  return text.includes(TOO_LARGE) ? new WriteRefusedError(text, "tooLarge", error) : undefined;
}

interface ConnectionFault {
  /** Matches the messages of OpenSSL, Node or Deno (rustls). */
  readonly pattern: RegExp;
  readonly says: string;
  readonly hint: string;
}

/** Failures of the connection before a call is sent. All can be fixed, so the same call may succeed later. */
const CONNECTION_FAULTS: readonly ConnectionFault[] = [
  {
    pattern: /alert:? certificate ?required/i,
    says: "it wants a client certificate",
    hint: "give the setting etcdCertfile and the setting etcdKeyfile",
  },
  {
    pattern:
      /alert:? (?:unknown ?ca|bad ?certificate|certificate|unsupported ?certificate|access ?denied|decrypt ?error)/i,
    says: "it refuses our client certificate",
    hint:
      "check the setting etcdCertfile: the CA that etcd trusts (its --trusted-ca-file) must have issued it, for client " +
      "authentication, and it must not have expired",
  },
  {
    pattern:
      /certificate has expired|not yet valid|invalid peer certificate: (?:certificate )?(?:expired|not ?valid ?yet)/i,
    says: "its certificate is not valid at this time",
    hint: "renew etcd's certificate, or set this machine's clock",
  },
  {
    pattern: /does not match certificate's altnames|NotValidForName|not valid for (?:any )?names?/i,
    says: "its certificate does not name the host in the setting etcdServers",
    hint: "use a host that etcd's certificate names, or add the name to the certificate",
  },
  {
    pattern:
      /unable to (?:verify the first|get (?:local )?issuer) certificate|self-signed certificate|certificate signature failure|UnknownIssuer/i,
    says: "its certificate is signed by an unknown authority",
    hint: "check the setting etcdCafile: it must hold the CA that signed etcd's certificates",
  },
  {
    pattern: /wrong version number|packet length too long|InvalidContentType|corrupt message/i,
    says: "it does not speak TLS",
    hint: "check the port, or write http:// in the setting etcdServers",
  },
  {
    pattern: /disconnected before secure TLS/i,
    says: "it ended the connection where TLS begins",
    hint: "check that it runs, and the port; or write http:// in the setting etcdServers",
  },
  {
    pattern: /^the server does not speak HTTP\/2$/,
    says: "it does not answer as etcd's client port does",
    hint:
      "check the setting etcdServers: https:// where etcd has a certificate, and its client port, not that of its peers",
  },
];

function adviceFor(
  code: number | undefined,
  text: string,
): { readonly code: "io" | "unreachable"; readonly hint: string } {
  if (text.includes(SPACE_EXCEEDED)) {
    return { code: "io", hint: "compact and defragment etcd, then disarm its alarm (etcdctl alarm disarm)" };
  }
  if (code === GRPC_STATUS.unavailable || code === GRPC_STATUS.cancelled) {
    return {
      code: "unreachable",
      hint: "check the setting etcdServers and that a majority of etcd's members is up; nothing stored is lost",
    };
  }
  if (code === GRPC_STATUS.unauthenticated || code === GRPC_STATUS.permissionDenied) {
    return { code: "io", hint: "check the setting etcdCafile, the setting etcdCertfile and the setting etcdKeyfile" };
  }
  return { code: "io", hint: "check etcd's log" };
}

/** Older releases may report progress before delivering the changes that it covers, so reads could miss those. */
const OLDEST = [3, 5, 13] as const;

/** Throws AppError `io` when a member is too old. */
export function assertReleases(members: readonly Pick<EtcdStatus, "version">[]): void {
  const old = members.find(({ version }) => isOld(version));
  if (old === undefined) return;
  throw new AppError("io", `cannot use etcd ${old.version}: ${OLDEST.join(".")} or later is needed`, {
    hint: "upgrade etcd; the progress that older releases report cannot be relied upon",
  });
}

function isOld(version: string): boolean {
  const numbers = /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
  const first = numbers.findIndex((number, index) => number !== OLDEST[index]);
  return first >= 0 && numbers[first]! < OLDEST[first]!;
}
