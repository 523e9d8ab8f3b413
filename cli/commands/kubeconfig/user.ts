/** Gets a certificate for a person, writes their kubeconfig, and reports their permissions. */
import { resolve } from "node:path";
import { type ApiConnection, createApiClient } from "../../../client/objects/api.ts";
import { reportTrust } from "../../../client/objects/trust_bundles.ts";
import { requestCertificate, type RequestCertificateOptions } from "../../../client/request_certificate.ts";
import { readPublishedTrust } from "../../../client/node_trust.ts";
import { isLoopbackServer } from "../../../core/token/cluster_info.ts";
import type { CredentialPair } from "../../../core/machine/credential_pair.ts";
import { findSubjectRestriction } from "../../../core/request/validate.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type {
  ResourceRule,
  SelfSubjectRulesReview,
  SubjectRulesReviewStatus,
} from "../../../core/kube/kinds/authorization_v1.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../../../core/kube/kinds/constants.ts";
import type { KubeconfigCluster, ResolvedCluster } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { Logger } from "../../../core/ports.ts";
import { parseCaBundle } from "../../../core/pki/x509/ca_bundle.ts";
import { line, shellWord } from "../../../core/lib/printable.ts";
import { kubeconfigUserCommand } from "./flags.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import { toExpirationSeconds } from "../../flags/request.ts";
import { formatCommand, formatCommandLine, type Input } from "../../framework/command.ts";
import type { Io, Tools } from "../../io.ts";
import { createLogger } from "../../logging.ts";
import { grantRole } from "./role.ts";
import { createKubeconfigTarget } from "../../../client/certificate/pair_folder.ts";
import { connect } from "../../connection.ts";
import { createDecision, decideOne } from "../../../client/admin/decisions.ts";
import { reportPending, type RequestObserver, requestWithSteps } from "../../output/request_certificate.ts";
import { assertReplaceable, displayPath } from "../../output/files.ts";

type Settings = Input<typeof kubeconfigUserCommand.flags>["settings"];

export async function run(input: Input<typeof kubeconfigUserCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files, signal } = tools;
  const { settings } = input;
  const name = input.args[0] ?? "";
  checkSettings(name, settings);
  const shownPath = settings.out ?? `${name}.kubeconfig`;
  const path = resolve(tools.cwd, shownPath);
  await assertReplaceable("kubeconfig", path, settings.force, files);
  await using connection = await connect(settings, tools);
  // The role comes first, so that a run that fails here can be repeated.
  if (settings.role !== undefined) {
    await grantRole({ person: name, role: settings.role, signerNames: settings.signer }, connection.api, tools);
  }
  const logger = createLogger({ ...tools, level: tools.isDebug ? "debug" : "warn" });
  const deps = { ...tools, logger };
  const cluster = await createClusterEntry(connection, settings.server, deps);
  const request = {
    target: createKubeconfigTarget({ path, clusterName: settings.clusterName, cluster, userName: name, files }),
    signerName: KUBE_APISERVER_CLIENT_SIGNER,
    subject: { commonName: name, organizations: settings.group },
    names: { dnsNames: [], ipAddresses: [], uris: [], emailAddresses: [] },
    expirationSeconds: toExpirationSeconds(settings.duration),
    key: settings.keyAlgorithm,
    renewal: { isForced: settings.force },
    timeoutSeconds: settings.noApprove ? 0 : settings.timeout / 1000,
    transport: connection.transport,
    ...deps,
  };
  const outcome = await requestWithSteps(
    ({ onProgress, report }) =>
      requestCertificate({
        ...request,
        // `approveWith` reports what the command waits for.
        onProgress: (event) => event.kind === "pending" ? undefined : onProgress(event),
        afterSubmit: settings.noApprove ? undefined : approveWith(connection, report, tools),
      }, signal),
    request,
    tools,
  );
  if (outcome.kind === "pending") {
    reportPending(outcome, tools);
    return EXIT.done;
  }
  if (outcome.kind === "kept") throw new AppError("internal", "a certificate was kept although that was not requested");
  tools.stdout.write(line`${shownPath}\n`);
  const until = formatTime(outcome.pair.leaf.notAfter);
  tools.stderr.write(
    line`${name} has access until ${until}: kubectl --kubeconfig ${shellWord(shownPath)} auth whoami\n`,
  );
  if (isLoopbackServer(cluster.server)) {
    const { server } = cluster;
    tools.stderr.write(
      line`the address ${server} works on this machine only: give --server for another machine\n`,
    );
  }
  const person = { pair: outcome.pair, caPem: cluster.certificateAuthorityData ?? "" };
  const rights = await fetchRights(connection.cluster, person, path, tools);
  // The rights of a role are printed already, and a server may not have its binding yet.
  if (settings.role === undefined) reportRights(rights, { name, settings, shownPath }, tools);
  return EXIT.done;
}

function checkSettings(name: string, { group, role }: Settings): void {
  if (!/^[^/\\\s-][^/\\\p{Cc}]*$/u.test(name)) throw new UsageError(`cannot use "${name}" as the name of a person`);
  if (name.startsWith("system:")) {
    throw new UsageError(
      `cannot use "${name}" as the name of a person: names that begin with system: are Kubernetes' own`,
      "for a program of Kubernetes use: tlsboot request",
    );
  }
  if (role !== undefined && name.includes("%")) {
    throw new UsageError(`cannot give "${name}" a role: the name of a role binding cannot have a %`);
  }
  const restriction = findSubjectRestriction(KUBE_APISERVER_CLIENT_SIGNER, group);
  if (restriction !== undefined) {
    throw new UsageError(
      restriction,
      "bind a role to the person instead, or write an administrator's kubeconfig with: tlsboot kubeconfig admin",
    );
  }
}

/**
 * Creates the entry of the caller's cluster, with the embedded CA and without the caller's credentials. The CAs that the
 * cluster publishes take precedence, because the caller's kubeconfig may be older than a new CA.
 */
async function createClusterEntry(
  { cluster, transport }: ApiConnection,
  server: string | undefined,
  deps: Tools & { readonly logger: Logger },
): Promise<KubeconfigCluster> {
  const { ca, insecureSkipTlsVerify, tlsServerName } = cluster;
  const own = ca?.kind === "file" ? await deps.files.readText(ca.path) : ca?.pem;
  const caPem = await readPublishedTrust(cluster, transport, deps, deps.signal) ?? own;
  return {
    server: server ?? cluster.server,
    ...(caPem === undefined ? {} : { certificateAuthorityData: caPem }),
    ...(insecureSkipTlsVerify ? { insecureSkipTlsVerify } : {}),
    // The TLS server name belongs to the address in the caller's kubeconfig.
    ...(tlsServerName === undefined || server !== undefined ? {} : { tlsServerName }),
  };
}

/**
 * Approves as the user of the command. Without permission, or if the request is decided already, the command keeps
 * waiting.
 */
function approveWith(
  { api }: ApiConnection,
  report: RequestObserver["report"],
  io: Io,
): RequestCertificateOptions["afterSubmit"] {
  return async ({ name, uid }, signal) => {
    try {
      const approval = await createDecision("approve", api, "tlsboot kubeconfig user", signal, {
        reason: "TlsbootKubeconfigUser",
      });
      await decideOne(api, name, approval, io, signal, { uid });
      report("approved with your own rights");
    } catch (error) {
      if (!isAppError(error, "access_denied", "invalid")) throw error;
      const why = error.code === "invalid" ? error.message : "you may not";
      report(`not approved by this command: ${why}; waiting for: tlsboot approve ${shellWord(name)}`);
    }
  };
}

/**
 * Asks the API for the rights of the person with their certificate, which tests the certificate too; undefined if the API
 * does not report rights. While a CA is being replaced, it also reports that the person trusts both CAs.
 */
async function fetchRights(
  cluster: ResolvedCluster,
  { pair, caPem }: { readonly pair: CredentialPair; readonly caPem: string },
  path: string,
  tools: Tools,
): Promise<SelfSubjectRulesReview["status"] | undefined> {
  const { token: _token, tokenFile: _tokenFile, ...anonymous } = cluster;
  const { signal } = tools;
  await using transport = await tools.connect({
    ...anonymous,
    clientCertificate: { kind: "pem", pem: pair.certificatePem },
    clientKey: { kind: "pem", pem: pair.keyPem },
  });
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectRulesReview",
    spec: { namespace: "default" },
  };
  const bundle = parseCaBundle(caPem);
  try {
    if (bundle.ok && bundle.value.length > 1) {
      const fingerprints = bundle.value.map(({ sha256Fingerprint }) => sha256Fingerprint);
      await reportTrust(transport, fingerprints, tools, signal);
    }
    const answer = await createApiClient(transport, tools).requestJson({
      method: "POST",
      path: "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
      body,
    }, signal);
    // The path determines the kind of the answer.
    return (answer as SelfSubjectRulesReview).status;
  } catch (error) {
    if (isAppError(error, "unauthorized")) {
      throw new AppError("unauthorized", `"${path}" is written, but the server does not accept its certificate`, {
        cause: error,
        hint: "the signer's CA must be in the server's --client-ca-file",
      });
    }
    if (isAppError(error, "access_denied", "not_found")) return undefined;
    throw error;
  }
}

const MAX_LINES = 10;
const MAX_RESOURCES = 8;
/** The API groups in which all users may ask about themselves (`system:basic-user`). */
const SELF_REVIEW_GROUPS = ["authorization.k8s.io", "authentication.k8s.io"];
/** The resources that all users of an instance need while a CA is being replaced (`instance/instance_rbac.ts`). */
const CA_ROTATION_RESOURCES = [
  "carotations.tlsboot",
  "trustreports.tlsboot",
  "clustertrustbundles.certificates.k8s.io",
];

/** Formats a line for each set of verbs, without the permissions that all users have; empty when there are no others. */
export function describeRights(status: SubjectRulesReviewStatus): readonly string[] {
  const resourcesByVerbs = new Map<string, Set<string>>();
  for (const rule of status.resourceRules.filter((rule) => !isForAllUsers(rule))) {
    const verbs = rule.verbs.includes("*") ? "everything with" : [...rule.verbs].sort().join(", ");
    const resources = resourcesByVerbs.get(verbs) ?? new Set();
    resourcesByVerbs.set(verbs, resources);
    for (const resource of describeResources(rule)) resources.add(resource);
  }
  const lines = [...resourcesByVerbs].map(([verbs, resources]) => `${verbs}: ${shorten([...resources].sort())}`).sort();
  return lines.length <= MAX_LINES ? lines : [...lines.slice(0, MAX_LINES), `and ${lines.length - MAX_LINES} more`];
}

function isForAllUsers(rule: ResourceRule): boolean {
  const { apiGroups = [], resources = [], verbs } = rule;
  const isForRotation = describeResources(rule).every((resource) => CA_ROTATION_RESOURCES.includes(resource)) &&
    verbs.every((verb) => ["create", "get", "list", "watch"].includes(verb));
  return isForRotation || apiGroups.length > 0 && apiGroups.every((group) => SELF_REVIEW_GROUPS.includes(group)) &&
      resources.every((resource) => resource.startsWith("selfsubject"));
}

/** Lists the resources of a rule: `pods`, `deployments.apps`. A subresource is listed only if its resource is not. */
function describeResources({ apiGroups = [], resources = [], resourceNames = [] }: ResourceRule): readonly string[] {
  const named = resourceNames.length === 0 ? "" : ` (${resourceNames.join(", ")})`;
  const tops = resources.filter((resource) =>
    !resources.includes(resource.split("/")[0] ?? "") || !resource.includes("/")
  );
  return apiGroups.flatMap((group) =>
    tops.map((resource) => {
      if (group === "*" && resource === "*") return `every resource${named}`;
      return `${group === "" ? resource : `${resource}.${group}`}${named}`;
    })
  );
}

function shorten(resources: readonly string[]): string {
  const rest = resources.length - MAX_RESOURCES;
  if (rest <= 1) return resources.join(", ");
  return `${resources.slice(0, MAX_RESOURCES).join(", ")} and ${rest} more`;
}

/** Prints a person's permissions on stderr, or the command that shows or grants them. */
function reportRights(
  status: SubjectRulesReviewStatus | undefined,
  { name, settings, shownPath }: { readonly name: string; readonly settings: Settings; readonly shownPath: string },
  io: Pick<Io, "stderr" | "cwd">,
): void {
  if (status === undefined) {
    io.stderr.write(line`see what ${name} may do: kubectl --kubeconfig ${shellWord(shownPath)} auth can-i --list\n`);
    return;
  }
  const rights = describeRights(status);
  if (rights.length > 0) {
    io.stderr.write(
      line`${name} may, in the namespace default:\n` + rights.map((right) => line`  ${right}\n`).join(""),
    );
    return;
  }
  const again = { args: [name], settings: { ...settings, role: "viewer", force: true } as const };
  io.stderr.write(line`${name} may do nothing yet. To let them see requests and certificates, give them a role:
  ${formatCommandLine(formatCommand(kubeconfigUserCommand, again, (path) => displayPath(path, io.cwd)))}
`);
}
