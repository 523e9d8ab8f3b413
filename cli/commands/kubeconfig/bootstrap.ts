/** Writes a bootstrap kubeconfig, with the names that the Kubernetes documentation uses. */
import { join, resolve } from "node:path";
import { parseBootstrapToken } from "../../../core/bootstrap/token.ts";
import { Secret } from "../../../core/lib/brand.ts";
import type { KubeconfigUser } from "../../../core/kube/kubeconfig.ts";
import { listReachableHosts } from "../../../core/bootstrap/node_addresses.ts";
import { createFilePort } from "../../../client/files.ts";
import { readInterfaces } from "../../../client/host_facts.ts";
import type { KubeconfigBootstrapFlags } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { checkTarget, findAdvertisedServer, readClusterEntry, reportLoopback, writeKubeconfig } from "./file.ts";

// https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/
const USER_NAME = "kubelet-bootstrap";

/** The action of the command `tlsboot kubeconfig bootstrap`. */
export async function run(
  { settings: given }: Input<KubeconfigBootstrapFlags>,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const defaultPath = join(given.dataDir, "bootstrap.kubeconfig");
  await checkTarget(given, defaultPath, io);
  const user = await readUser(given, io, signal);
  const server = given.server ?? await findAdvertisedServer(given.dataDir, io);
  if (server === undefined) throw await createMissingServerError();
  const settings = { ...given, server };
  const cluster = await readClusterEntry(settings, io);
  await writeKubeconfig(settings, defaultPath, { cluster, userName: USER_NAME, user }, io);
  reportLoopback(settings.server, io);
  return EXIT.done;
}

/** Creates the error for a machine whose server is not known, with an address of this host as an example. */
async function createMissingServerError(): Promise<UsageError> {
  const [host = "HOST"] = listReachableHosts(await readInterfaces(createFilePort()));
  return new UsageError(
    "a bootstrap kubeconfig needs the address of the server",
    `give it as the machine reaches it, such as --server https://${host}:6443`,
  );
}

async function readUser(
  { token, tokenFile }: Input<KubeconfigBootstrapFlags>["settings"],
  io: Io,
  signal: AbortSignal,
): Promise<KubeconfigUser> {
  if (token !== undefined && tokenFile !== undefined) throw new UsageError("give --token or --token-file, not both");
  if (tokenFile !== undefined) return { tokenFile: resolve(io.cwd, tokenFile) };
  if (token === undefined) {
    throw new UsageError(
      "a bootstrap kubeconfig needs a token",
      "create one with: tlsboot token create, then give it with --token",
    );
  }
  const text = token.reveal() === "-" ? (await io.stdin.readAll(signal)).trim() : token.reveal();
  const parsed = parseBootstrapToken(text);
  if (!parsed.ok) throw new UsageError(`cannot use --token: ${parsed.error}`);
  return { token: new Secret(text) };
}
