/** The requests that arguments name: by the name of the request, or of the machine that asks. */
import type { ApiClient } from "../../../client/objects/api.ts";
import { isSettled } from "../../../core/approval/recognizers.ts";
import { formatConditionCell } from "../../../core/request/phase.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { formatHumanDuration } from "../../../core/lib/duration.ts";
import { getCreationMs, getName } from "../../../core/kube/meta.ts";
import { parseNodeUser } from "../../../core/kube/user.ts";
import type { Clock } from "../../../core/ports.ts";
import { findShortened, isShortForm } from "../../../core/report/request_summary.ts";
import { csrPath, listCsrs, parseCsrNames } from "../../../client/admin/csrs.ts";
import { findObject } from "../../../client/admin/records.ts";

/** Finds the name of the request that an argument means. */
export type TargetFinder = (arg: string, signal: AbortSignal) => Promise<string>;

const NODE_PREFIX = /^nodes?\//;

/** Checks arguments before any request is sent. Throws UsageError. */
export function parseTargets(args: readonly string[]): void {
  args.forEach(parseTarget);
}

/** A name, and whether it can be that of a request, of a machine, or of either. */
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
 * Creates a finder. `csr/NAME` is the name of a request, `node/NAME` that of a machine, and a plain name is either; it
 * throws AppError `invalid` when that is ambiguous, because a client chooses the name of its request. The requests are
 * listed once, when a machine is looked up.
 */
export function createTargetFinder(api: ApiClient, clock: Pick<Clock, "now">): TargetFinder {
  let listed: Promise<readonly CertificateSigningRequest[]> | undefined;

  const list = (signal: AbortSignal): Promise<readonly CertificateSigningRequest[]> =>
    listed ??= listCsrs(api, {}, signal).then(({ items }) => items);

  const choose = (arg: string, candidates: readonly CertificateSigningRequest[]): string | undefined =>
    chooseOne(arg, candidates, clock.now());

  return async (arg, signal) => {
    const { name, isRequest, isMachine } = parseTarget(arg);
    const own = isRequest ? await findObject<CertificateSigningRequest>(api, csrPath(name), signal) : undefined;
    if (!isMachine) {
      return own === undefined ? await findByShortName(api, name, clock, signal) ?? name : name;
    }
    // A client chooses the name of its request, and may choose the short name of another one.
    if (own !== undefined && findNode(own) === name && !isShortForm(name)) return name;
    const all = await list(signal).catch((error: unknown) => {
      // A user who may decide about requests but not list them names the request.
      if (own !== undefined && isAppError(error, "access_denied")) return [];
      throw error;
    });
    const requests = all.filter((csr) => findNode(csr) === name && getName(csr) !== name);
    const shortened = isRequest ? filterShortened(name, all) : [];
    const pending = [...new Set([...requests.filter((csr) => !isSettled(csr)), ...shortened])];
    if (own !== undefined) return choose(arg, [own, ...pending]) ?? name;
    // A decided request of the machine is only meant when none is pending.
    const [latest] = requests.toSorted((a, b) => getCreationMs(b) - getCreationMs(a));
    const found = choose(arg, pending) ?? (latest === undefined ? undefined : getName(latest));
    if (found !== undefined) return found;
    throw notFound(arg);
  };
}

/**
 * Lists every request that an argument can mean, for a command that shows each one before it decides: the request of that
 * name or short name, and those of the machine. Throws AppError `not_found` when there is none.
 */
export async function listMeantRequests(
  api: ApiClient,
  arg: string,
  signal: AbortSignal,
): Promise<readonly CertificateSigningRequest[]> {
  const { name, isRequest, isMachine } = parseTarget(arg);
  const { items } = await listCsrs(api, {}, signal);
  const meant = items.filter((csr) => (isRequest && getName(csr) === name) || (isMachine && findNode(csr) === name));
  const all = new Set([...meant, ...(isRequest ? filterShortened(name, items) : [])]);
  if (all.size === 0) throw notFound(arg);
  return [...all];
}

function notFound(arg: string): AppError {
  return new AppError("not_found", `cannot find "${arg}": no request has that name, and no machine of that name asks`, {
    hint: "list the requests with: tlsboot get csr",
  });
}

/** Returns the name of the only candidate; undefined without one. Throws AppError `invalid` that describes several. */
function chooseOne(arg: string, candidates: readonly CertificateSigningRequest[], now: Date): string | undefined {
  const [only, ...more] = candidates;
  if (more.length === 0) return only === undefined ? undefined : getName(only);
  throw new AppError("invalid", `"${arg}" means more than one request:\n${describeAll(candidates, now)}`, {
    hint: "find out which of them you mean: tlsboot describe csr NAME; then decide by csr/NAME",
  });
}

/**
 * Finds the name of the request that a short name means, as `get csr` shows it on a terminal; undefined when it means none.
 * Throws AppError `invalid` when it means several.
 */
export async function findByShortName(
  api: ApiClient,
  text: string,
  clock: Pick<Clock, "now">,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!isShortForm(text)) return undefined;
  const { items } = await listCsrs(api, {}, signal);
  return chooseOne(text, filterShortened(text, items), clock.now());
}

function filterShortened(
  text: string,
  csrs: readonly CertificateSigningRequest[],
): readonly CertificateSigningRequest[] {
  const names = new Set(findShortened(text, csrs.map(getName)));
  return csrs.filter((csr) => getName(csr) !== text && names.has(getName(csr)));
}

/** Lists the requests by which a machine asks for a certificate, pending ones if there are any. */
export async function listRequestsOfMachine(
  api: ApiClient,
  machine: string,
  signal: AbortSignal,
): Promise<readonly CertificateSigningRequest[]> {
  const { items } = await listCsrs(api, {}, signal);
  const own = items.filter((csr) => findNode(csr) === machine);
  const pending = own.filter((csr) => !isSettled(csr));
  return pending.length === 0 ? own : pending;
}

/** Finds the machine whose identity a request asks for, by whichever signer. */
function findNode({ spec }: CertificateSigningRequest): string | undefined {
  const request = parseRequest(spec.request);
  return parseNodeUser(request.ok ? request.value.subject.commonName : "");
}

function describeAll(csrs: readonly CertificateSigningRequest[], now: Date): string {
  return csrs.map((csr) => {
    const { signerName, username = "", request } = csr.spec;
    const parsed = parseRequest(request);
    const subject = parsed.ok ? parsed.value.subject.commonName : "a malformed request";
    const age = formatHumanDuration(now.getTime() - getCreationMs(csr));
    return `  csr/${getName(csr)}: ${subject} from ${signerName}, requested by ${username} ${age} ago, ` +
      formatConditionCell(csr);
  }).join("\n");
}
