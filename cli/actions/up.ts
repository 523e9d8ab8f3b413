/** Runs server, signer, approver and cleaners until they are stopped. */
import { createFilePort } from "../../client/files.ts";
import { publicKeyPin } from "../../core/pki/ca_bundle.ts";
import { createFileAuthoritySource } from "../../server/controllers/ca_provider.ts";
import type { UpFlags } from "../commands/up.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Settings } from "../framework/flags.ts";
import type { Io } from "../io.ts";
import { createLogger } from "../logging.ts";
import { displayPath } from "../output/display_path.ts";
import { caFilesOver } from "../site/ca_files.ts";
import { ROOT_USER } from "../site/control_plane.ts";
import { runInProcess, secretStoreOver, trustedBy, UP_SIGNERS } from "../site/controllers.ts";
import { AUTO_APPROVE_COMMAND, autoApproveBinding, initialBindings } from "../site/own_rbac.ts";
import { ensureClusterInfo } from "../site/own_cluster_info.ts";
import { ensureBootstrapKubeconfig } from "../site/own_token.ts";
import { USER_AGENT } from "../user_agent.ts";
import { keepFresh } from "../site/renewal.ts";
import {
  namesSigningCa,
  openSigningCas,
  signingCaFlagsOf,
  type SigningCas,
  signingDurationSeconds,
} from "../site/signing_cas.ts";
import { NO_COLLECTOR, type Site, type SiteDeps, startSite } from "../site/site.ts";

/** The action of `tlsboot up`. */
export async function run(input: Input<UpFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings } = input;
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: input.isDebug ? "debug" : "info" });
  const files = createFilePort();
  const deps = { files, clock: io.clock, random: io.random, logger, cwd: io.cwd, stdout: io.stdout };
  await using site = await startSite(settings, deps, (isNew) => [
    ...(isNew ? initialBindings() : []),
    ...(settings.autoApprove ? [autoApproveBinding()] : []),
  ], NO_COLLECTOR);
  const cas = await signingCasOf(site, settings, deps);
  const secrets = secretStoreOver(site.server.transportFor(ROOT_USER, `${USER_AGENT} up`), deps);
  const cluster = { server: site.url, caPem: site.authority.certificatePem };
  await ensureClusterInfo(site.server, cluster, deps, signal);
  const ensureToken = () => ensureBootstrapKubeconfig(site.dir, secrets, cluster, deps, signal);
  if (settings.enableBootstrapTokenAuth) await ensureToken();

  io.stdout.write(greeting(site, settings, io.cwd));
  await Promise.all([
    runInProcess(
      site.server,
      {
        ...cas,
        signingDurationSeconds: signingDurationSeconds(settings),
        isTrustedForClients: trustedBy(site.clientCaPem),
        caPem: cluster.caPem,
        without: [],
      },
      deps,
      signal,
    ),
    keepFresh(
      async () => {
        await site.renew();
        if (settings.enableBootstrapTokenAuth) await ensureToken();
      },
      deps,
      signal,
    ),
  ]);
  return EXIT.done;
}

/** The CAs that the flags name, or the site's own for all signers. `legacy-unknown` never runs here. */
async function signingCasOf(site: Site, settings: Settings<UpFlags>, deps: SiteDeps): Promise<SigningCas> {
  const flags = signingCaFlagsOf(settings);
  if (namesSigningCa(flags)) {
    const cas = await openSigningCas(flags, deps);
    return { ...cas, signerNames: cas.signerNames.filter((name) => UP_SIGNERS.includes(name)) };
  }
  const own = await createFileAuthoritySource({
    ...deps,
    files: caFilesOver(deps.files),
    certFile: site.dir.caCertificate,
    keyFile: site.dir.caKey,
  });
  return { signerNames: UP_SIGNERS, authorities: () => own.current() };
}

function greeting(site: Site, settings: Input<UpFlags>["settings"], cwd: string): string {
  const show = (path: string) => displayPath(path, cwd);
  const dataDir = settings.dataDir === "./tlsboot-data" ? "" : ` --data-dir ${show(site.dir.root)}`;
  const approval = settings.autoApprove
    ? "Requests of kubelets with this site's bootstrap tokens are approved by themselves, for any node name."
    : `Nothing is approved by itself but a node's renewal. To approve kubelets with this site's bootstrap tokens, for any node name:
  ${AUTO_APPROVE_COMMAND.replace("kubectl", `kubectl --kubeconfig ${show(site.dir.adminKubeconfig)}`)}`;
  const open = settings.bindAddress === "127.0.0.1"
    ? "\nOnly this machine can reach it. To open it to the network, start it with --bind-address 0.0.0.0\nand --advertise-address NAME.\n"
    : "";
  return `tlsboot is up at ${site.url}
CA ${publicKeyPin(site.authority.certificate)}
data in ${show(site.dir.root)}

Next, in another terminal:

  # ask for the certificate of a machine called n1
  tlsboot bootstrap --bootstrap-kubeconfig ${
    show(site.dir.bootstrapKubeconfig)
  } --kubeconfig n1/kubeconfig --cert-dir n1/pki --hostname-override n1

  # see who asks
  tlsboot get csr${dataDir}

  # let it in
  tlsboot approve NAME${dataDir}

${approval}
${open}`;
}
