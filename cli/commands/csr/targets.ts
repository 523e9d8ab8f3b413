/** Finds the requests that arguments refer to, by the name of a request or of a machine. */
import type { ApiClient } from "../../../client/objects/api.ts";
import { isSettled } from "../../../core/approval/recognizers.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { getCreationMs, getName } from "../../../core/kube/meta.ts";
import { parseNodeUser } from "../../../core/kube/user.ts";
import { isShortForm } from "../../../core/report/request_summary.ts";
import {
  chooseRequest,
  csrPath,
  filterShortened,
  findByShortName,
  listCsrs,
  parseCsrNames,
} from "../../../client/admin/csrs.ts";
import { findObject } from "../../../client/admin/records.ts";

const NODE_PREFIX = /^nodes?\//;

/** Checks arguments before anything is sent. Throws AppError `usage`. */
export function parseTargets(args: readonly string[]): void {
  args.forEach(parseTarget);
}

/** A name that can be that of a request, of a machine, or of either. */
interface Target {
  readonly name: string;
  readonly isRequest: boolean;
  readonly isMachine: boolean;
}

function parseTarget(arg: string): Target {
  const isMachine = NODE_PREFIX.test(arg);
  const rest = arg.replace(NODE_PREFIX, "");
  const [name = ""] = parseCsrNames([rest]);
  return { name: isMachine ? rest : name, isRequest: !isMachine, isMachine: isMachine || name === arg };
}

/**
 * Creates a function that returns the name of the request that an argument refers to. `csr/NAME` is a request, `node/NAME`
 * a machine, and a plain name can be either. An ambiguous name throws AppError `invalid`, because clients choose the names
 * of their requests. The requests are listed once, for the first machine.
 */
export function createTargetFinder(
  api: ApiClient,
): (arg: string, signal: AbortSignal) => Promise<string> {
  let listed: Promise<readonly CertificateSigningRequest[]> | undefined;
  return async (arg, signal) => {
    const { name, isRequest, isMachine } = parseTarget(arg);
    const exact = isRequest ? await findObject<CertificateSigningRequest>(api, csrPath(name), signal) : undefined;
    if (!isMachine) {
      return exact === undefined ? await findByShortName(api, name, signal) ?? name : name;
    }
    // The name of a request may look like the short name of another one.
    if (exact !== undefined && findNode(exact) === name && !isShortForm(name)) return name;
    listed ??= listCsrs(api, {}, signal).then(({ items }) => items);
    const all = await listed.catch((error: unknown) => {
      // A user who may not list requests can still decide about one by its whole name.
      if (exact !== undefined && isAppError(error, "access_denied")) return [];
      throw error;
    });
    const requests = all.filter((csr) => findNode(csr) === name && getName(csr) !== name);
    const shortened = isRequest ? filterShortened(name, all) : [];
    const pending = [...new Set([...requests.filter((csr) => !isSettled(csr)), ...shortened])];
    if (exact !== undefined) return getName(chooseRequest(arg, [exact, ...pending]) ?? exact);
    // A decided request of the machine counts only when none is pending.
    const [latest] = requests.toSorted((a, b) => getCreationMs(b) - getCreationMs(a));
    const found = chooseRequest(arg, pending) ?? latest;
    if (found !== undefined) return getName(found);
    throw createNotFoundError(arg);
  };
}

/**
 * Lists every request that an argument can refer to, for a command that shows each one before it decides: the request of
 * that name or short name, and those for the machine. Throws AppError `not_found` when there is none.
 */
export async function listMatchingRequests(
  api: ApiClient,
  arg: string,
  signal: AbortSignal,
): Promise<readonly CertificateSigningRequest[]> {
  const { name, isRequest, isMachine } = parseTarget(arg);
  const { items } = await listCsrs(api, {}, signal);
  const named = items.filter((csr) => (isRequest && getName(csr) === name) || (isMachine && findNode(csr) === name));
  const matching = new Set([...named, ...(isRequest ? filterShortened(name, items) : [])]);
  if (matching.size === 0) throw createNotFoundError(arg);
  return [...matching];
}

function createNotFoundError(arg: string): AppError {
  const message = `cannot find "${arg}": there is no request of that name, nor for a machine of that name`;
  return new AppError("not_found", message, { hint: "list the requests with: tlsboot get csr" });
}

/** Lists the requests for a machine's identity: the pending ones if there are any, else all. */
export async function listRequestsOfMachine(
  api: ApiClient,
  machine: string,
  signal: AbortSignal,
): Promise<readonly CertificateSigningRequest[]> {
  const { items } = await listCsrs(api, {}, signal);
  const requests = items.filter((csr) => findNode(csr) === machine);
  const pending = requests.filter((csr) => !isSettled(csr));
  return pending.length === 0 ? requests : pending;
}

/** Finds the node in the subject of a request, whatever its signer. */
function findNode({ spec }: CertificateSigningRequest): string | undefined {
  const request = parseRequest(spec.request);
  return parseNodeUser(request.ok ? request.value.subject.commonName : "");
}
