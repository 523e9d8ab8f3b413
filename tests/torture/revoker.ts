/**
 * Steals credentials, revokes them while the server is killed, and uses them at once and for the rest of the storm:
 * none may be accepted after its revocation was acknowledged. A victim is a bootstrap token, a service account token,
 * or a node that opens a watch and renews its certificate at the moment of the revocation.
 */
import { join } from "node:path";
import { type ApiClient, createApiClient, withQuery } from "../../client/objects/api.ts";
import type { FilePort } from "../../client/files.ts";
import type { TlsTransport } from "../../client/transport/tls_transport.ts";
import { createTokenSecret, formatBootstrapToken, generateBootstrapToken } from "../../core/token/token_secret.ts";
import { BOOTSTRAP_TOKEN_USAGES, UP_TOKEN_GROUP } from "../../core/token/token_options.ts";
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import { Secret } from "../../core/lib/brand.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import type { Clock, Random } from "../../core/ports.ts";
import { createRevocation, type RevocationTarget } from "../../core/revocation/revocation.ts";
import { beginLife, isSkewed, type Life, type NodeOptions, requestUsername } from "./node.ts";
import { isTransient } from "./watcher.ts";

interface RevokerOptions extends Omit<NodeOptions, "onStored"> {
  /** The cluster with the credentials of the administrator. */
  readonly cluster: ResolvedCluster;
  /** The number of servers of the cluster. */
  readonly servers: number;
  /**
   * Returns the elapsed time since which no server is paused, because a paused server cannot end a watch; Infinity if a
   * machine that has lost power can never end it.
   */
  readonly calmSinceMs: (openedMs: number) => number;
  /** The disk of the victims. */
  readonly files: FilePort;
  /** Whether the servers issue tokens of service accounts. */
  readonly hasServiceAccounts: boolean;
  /** The factor by which pauses between uses and between revocations are longer than in a storm. */
  readonly pace: number;
}

/** Revokes credentials and uses them. */
export interface Revoker {
  /** Runs until the signal fires. */
  run(signal: AbortSignal): Promise<void>;
  /** Uses each credential once more. */
  useAll(signal: AbortSignal): Promise<void>;
  counts(): RevocationCounts;
}

export interface RevocationCounts {
  /** The number of acknowledged revocations. */
  readonly revocations: number;
  /** The number of refused uses of a revoked credential. */
  readonly refusals: number;
  /** The number of watches that a revocation ended. */
  readonly endedWatches: number;
}

interface Stolen {
  readonly what: string;
  /** A connection that was open before the revocation. */
  readonly earlier: TlsTransport;
  readonly open: () => Promise<TlsTransport>;
  /** The elapsed time from which it must be refused. */
  readonly refusedFromMs: number;
}

/** A stolen credential, and the target of its revocation. */
interface Victim {
  readonly what: string;
  readonly target: RevocationTarget;
  readonly open: () => Promise<TlsTransport>;
  /** The node that owns the certificate; absent for a token. */
  readonly life?: Life;
}

/** The kinds of victims, in turn: what is stolen, and what is revoked. Every second one, a certificate, has a watch. */
const VICTIMS = [
  "certificate node",
  "bootstrap token",
  "certificate user",
  "bootstrap group",
  "certificate serial",
  "bootstrap user",
  "certificate token",
] as const;
const ACCOUNTS = ["account user", "account group"] as const;
type VictimKind = typeof VICTIMS[number] | typeof ACCOUNTS[number];

/** How long after the acknowledgement of a revocation the last of several servers refuses the credential. */
const REFUSED_WITHIN_MS = 1_000;
/** The longest pause between two uses of a revoked credential, and between two revocations. */
const USE_PAUSE_MS = 200;
const REVOKE_PAUSE_MS = 1_000;
/** The longest time before and after the revocation in which the victim renews. */
const RENEWAL_MS = 1_000;
/** A watch ends within a second. The rest, and a multiple of the time of the revocation, allow for a busy machine. */
const WATCH_ENDS_WITHIN_MS = 4_000;
const WATCH_ENDS_WITHIN_REVOCATIONS = 4;
/** The additional time for a client to read what arrived in time. */
const LAST_READ_MS = 1_000;
const MANY_RENEWALS = 100;
/** The token in a bootstrap kubeconfig. */
const TOKEN_LINE = /(token: )"?[a-z0-9]{6}\.[a-z0-9]{16}"?/;
const UNAUTHORIZED = 401;
const TOO_MANY_REQUESTS = 429;

export function createRevoker(options: RevokerOptions): Revoker {
  const { clock, random, connect, cluster, servers, calmSinceMs, files, pace, hasServiceAccounts, onFault } = options;
  const graceMs = servers === 1 ? 0 : REFUSED_WITHIN_MS;
  const { clientCertificate: _certificate, clientKey: _key, ...anonymous } = cluster;
  const kinds = [...VICTIMS, ...hasServiceAccounts ? ACCOUNTS : []];
  const firstKind = Math.floor(random.float() * kinds.length);
  const stolen: Stolen[] = [];
  const counts = { revocations: 0, refusals: 0, endedWatches: 0 };

  async function revokeNext(api: ApiClient, number: number, signal: AbortSignal): Promise<void> {
    const victim = await createVictim(api, kinds[(firstKind + number) % kinds.length]!, number, signal);
    const { target, open, life } = victim;
    const earlier = await open();
    const openedMs = clock.elapsedMs();
    const watch = life === undefined ? undefined : startWatch(earlier, clock, signal);
    // A revocation by serial number does not cover a renewed certificate.
    const renewal = new AbortController();
    const renewing = life === undefined || target.kind === "serial"
      ? Promise.resolve()
      : life.renew((done) => done >= MANY_RENEWALS, AbortSignal.any([signal, renewal.signal])).catch(() => {});
    await clock.sleep(random.float() * RENEWAL_MS, signal).catch(() => {});
    let requestedMs = 0;
    await untilDone(
      () => {
        requestedMs = clock.elapsedMs();
        return revoke(api, target, signal);
      },
      options,
      signal,
    );
    if (signal.aborted) return;
    const acknowledgedMs = clock.elapsedMs();
    const what = `${victim.what}, revoked by its ${target.kind}`;
    const credential: Stolen = { what, earlier, open, refusedFromMs: acknowledgedMs + graceMs };
    // Nothing happens between the acknowledgement and the first use.
    const used = use(credential, false, signal);
    const withinMs = Math.round(WATCH_ENDS_WITHIN_MS + WATCH_ENDS_WITHIN_REVOCATIONS * (acknowledgedMs - requestedMs));
    counts.revocations++;
    await used.catch(() => {});
    await clock.sleep(random.float() * RENEWAL_MS, signal).catch(() => {});
    renewal.abort();
    await renewing;
    stolen.push(credential);
    if (watch !== undefined) {
      void assertEnds(watch, `the watch with ${what}`, { openedMs, acknowledgedMs, withinMs }, signal);
    }
  }

  async function createVictim(api: ApiClient, kind: VictimKind, number: number, signal: AbortSignal): Promise<Victim> {
    const name = `${options.name}-${number}`;
    if (kind === "account user" || kind === "account group") return await createAccount(api, kind, name, signal);
    const token = generateBootstrapToken(random);
    const group = `system:bootstrappers:${name}`;
    const { metadata, ...secret } = createTokenSecret({
      token,
      usages: BOOTSTRAP_TOKEN_USAGES,
      groups: [UP_TOKEN_GROUP, group],
      description: "",
    });
    await ensure(api, "/api/v1/namespaces/kube-system/secrets", {
      ...{ apiVersion: "v1", kind: "Secret", metadata, ...secret },
    }, signal);
    const text = formatBootstrapToken(token);
    const bearer = {
      what: `the bootstrap token of ${name}`,
      open: () => connect({ ...anonymous, token: new Secret(text) }),
    };
    if (kind === "bootstrap token") return { ...bearer, target: { kind: "token", value: token.id } };
    if (kind === "bootstrap group") return { ...bearer, target: { kind: "group", value: group } };
    if (kind === "bootstrap user") {
      return { ...bearer, target: { kind: "user", value: `system:bootstrap:${token.id}` } };
    }
    const bootstrapKubeconfig = join(options.folder, `${name}.kubeconfig`);
    const shared = await files.readText(options.bootstrapKubeconfig) ?? "";
    await files.writeAtomic(bootstrapKubeconfig, shared.replace(TOKEN_LINE, `$1${text}`), 0o600);
    const life = beginLife({ ...options, bootstrapKubeconfig, onStored: () => {}, onFault: () => {} }, number, files);
    await untilDone(() => life.bootstrap(signal), options, signal);
    const { serialNumber } = await life.getLeaf();
    const targets: Readonly<Record<typeof kind, RevocationTarget>> = {
      "certificate node": { kind: "node", value: life.nodeName },
      "certificate user": { kind: "user", value: `system:node:${life.nodeName}` },
      "certificate serial": { kind: "serial", value: serialNumber },
      "certificate token": { kind: "token", value: token.id },
    };
    return { what: `the certificate of ${life.nodeName}`, target: targets[kind], open: () => life.open(), life };
  }

  /** Creates a service account in its own namespace, so that no other account is in its group. */
  async function createAccount(
    api: ApiClient,
    kind: typeof ACCOUNTS[number],
    name: string,
    signal: AbortSignal,
  ): Promise<Victim> {
    const accounts = `/api/v1/namespaces/${name}/serviceaccounts`;
    await ensure(api, "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } }, signal);
    await ensure(api, accounts, { apiVersion: "v1", kind: "ServiceAccount", metadata: { name } }, signal);
    let token = "";
    await untilDone(
      async () => {
        const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
        const request = { method: "POST", path: `${accounts}/${name}/token`, body } as const;
        const answer = await api.requestJson(request, signal) as { readonly status?: { readonly token?: string } };
        token = answer.status?.token ?? "";
      },
      options,
      signal,
    );
    return {
      what: `the token of service account ${name}`,
      open: () => connect({ ...anonymous, token: new Secret(token) }),
      target: kind === "account user"
        ? { kind: "user", value: `system:serviceaccount:${name}:${name}` }
        : { kind: "group", value: `system:serviceaccounts:${name}` },
    };
  }

  /** Creates an object, retrying while the server is down; it may exist if an earlier answer was lost. */
  async function ensure(api: ApiClient, path: string, body: object, signal: AbortSignal): Promise<void> {
    await untilDone(() => create(api, path, body, signal), options, signal);
  }

  async function create(api: ApiClient, path: string, body: object, signal: AbortSignal): Promise<void> {
    await api.requestJson({ method: "POST", path, body }, signal).catch((error: unknown) => {
      if (!isAppError(error, "already_exists")) throw error;
    });
  }

  async function revoke(api: ApiClient, target: RevocationTarget, signal: AbortSignal): Promise<void> {
    const body = createRevocation(target, {
      reason: "certificateHold",
      message: "stolen",
      includeCertificates: target.kind === "token",
    });
    await create(api, "/apis/tlsboot/v1alpha1/revocations", body, signal);
  }

  async function assertEnds(
    watch: { readonly ended: Promise<void> },
    what: string,
    { openedMs, acknowledgedMs, withinMs }: Readonly<Record<"openedMs" | "acknowledgedMs" | "withinMs", number>>,
    signal: AbortSignal,
  ): Promise<void> {
    let outcome = "late";
    for (let isLast = false; outcome === "late" && !isLast;) {
      const leftMs = Math.max(acknowledgedMs, calmSinceMs(openedMs)) + withinMs - clock.elapsedMs();
      if (leftMs === Infinity) return;
      isLast = leftMs <= 0;
      const late = clock.sleep(isLast ? LAST_READ_MS : leftMs, signal).then(() => "late", () => "stopped");
      outcome = await Promise.race([watch.ended.then(() => "ended"), late]);
    }
    if (outcome === "ended") counts.endedWatches++;
    if (outcome === "late") onFault(`${what} is open ${withinMs} ms after the acknowledgement`);
  }

  /** Uses a revoked credential, over a new connection or the earlier one. */
  async function use({ what, earlier, open, refusedFromMs }: Stolen, isNew: boolean, signal: AbortSignal) {
    const waitMs = refusedFromMs - clock.elapsedMs();
    if (waitMs > 0) await clock.sleep(waitMs, signal);
    const transport = isNew ? await open() : earlier;
    try {
      const username = await requestUsername(createApiClient(transport, { clock }), signal);
      onFault(`${what}, was accepted as ${username}, over ${isNew ? "a new connection" : "the earlier connection"}`);
    } catch (error) {
      if (signal.aborted || isTransient(error)) return;
      const code = error instanceof StatusError ? error.status.code : undefined;
      if (code === UNAUTHORIZED) counts.refusals++;
      else if (code !== TOO_MANY_REQUESTS) onFault(`${what}, was answered with: ${getErrorMessage(error)}`);
    } finally {
      if (isNew) await transport[Symbol.asyncDispose]();
    }
  }

  async function useRepeatedly(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const one = stolen[Math.floor(random.float() * stolen.length)];
      if (one !== undefined) await use(one, random.float() < 0.5, signal).catch(() => {});
      await clock.sleep(random.float() * USE_PAUSE_MS * pace, signal).catch(() => {});
    }
  }

  async function revokeRepeatedly(signal: AbortSignal): Promise<void> {
    await using transport = await connect(cluster);
    const api = createApiClient(transport, { clock });
    for (let number = 0; !signal.aborted; number++) {
      await revokeNext(api, number, signal).catch((error: unknown) => {
        if (signal.aborted || isTransient(error) || (options.areClocksSet && isSkewed(error))) return;
        onFault(`revoker: ${getErrorMessage(error)}`);
      });
      await clock.sleep(random.float() * REVOKE_PAUSE_MS * pace, signal).catch(() => {});
    }
  }

  return {
    async run(signal) {
      await Promise.all([revokeRepeatedly(signal), useRepeatedly(signal), useRepeatedly(signal)]);
      await Promise.allSettled(stolen.map(({ earlier }) => earlier[Symbol.asyncDispose]()));
    },
    async useAll(signal) {
      for (const one of [...stolen]) for (const isNew of [true, false]) await use(one, isNew, signal);
    },
    counts: () => counts,
  };
}

/** Repeats a step while the server is down. */
async function untilDone(
  step: () => Promise<void>,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      return await step();
    } catch (error) {
      if (!isTransient(error)) throw error;
      await clock.sleep(random.float() * USE_PAUSE_MS, signal).catch(() => {});
    }
  }
}

const OWN_REQUESTS = withQuery("/apis/certificates.k8s.io/v1/certificatesigningrequests", {
  watch: "true",
  timeoutSeconds: "3600",
});

/** Watches until the stream ends for any reason. */
function startWatch(transport: TlsTransport, clock: Clock, signal: AbortSignal): { readonly ended: Promise<void> } {
  async function follow(): Promise<void> {
    const answer = await createApiClient(transport, { clock }).open({ method: "GET", path: OWN_REQUESTS }, signal);
    for await (const _chunk of answer.body);
  }
  return { ended: follow().catch(() => {}) };
}
