/** Runs server, signer, approver and cleaners until they are stopped. */
import type { ProofKind } from "../../../core/attestation/proof.ts";
import { waitForAbort } from "../../../core/lib/waiting.ts";
import { isLoopbackServer } from "../../../core/token/cluster_info.ts";
import { readInterfaces } from "../../../client/host_facts.ts";
import { listReachableHosts } from "../../../core/machine/node_name.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { Logger } from "../../../core/ports.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import type { upCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { readSituation, type Situation, startFullInstance } from "../../../instance/full_instance.ts";
import type { Instance } from "../../../instance/instance.ts";
import { AUTO_APPROVE_COMMAND } from "../../../instance/instance_rbac.ts";
import type { Tools } from "../../io.ts";
import { createRoleLogger } from "../../logging.ts";
import { displayPath, pathWord } from "../../output/files.ts";
import { connectService, findPassedSocket } from "../../systemd/service.ts";
import { openUi } from "../../open_ui.ts";
import { formatJoining, formatMachine, formatProving, manageService } from "./service.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";
import { DEFAULT_SETTINGS } from "../../../instance/settings.ts";

export async function run(input: Input<typeof upCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { files, signal } = tools;
  const { settings } = input;
  if (settings.installService || settings.uninstallService) return await manageService(input, tools);
  const logger = createRoleLogger(input.settings, tools);
  const keys = createCaKeys(settings, tools);
  using service = connectService(tools, { logger, signal });
  await using instance = await startFullInstance(
    { ...DEFAULT_SETTINGS, ...settings },
    { ...tools, heap: tools.heap, logger, keys, passedSocket: findPassedSocket(tools) },
    signal,
  );
  const hosts = listReachableHosts(await readInterfaces(files));
  const web = settings.webDomain.length === 0 ? "" : await formatWebGreeting(instance, settings.webDomain, tools);
  const situation = await readSituation(instance);
  tools.stdout.write(formatGreeting(instance, settings, situation, hosts, tools.cwd) + web);
  await using _ui = settings.ui ? await servePage(settings, tools, logger) : undefined;
  service.ready(`serving ${instance.url}`);
  await waitForAbort(AbortSignal.any([signal, instance.lost]));
  instance.lost.throwIfAborted();
  logger.info("stopping after the requests in progress");
  return EXIT.done;
}

/** Serves the page with the administrator's kubeconfig in the data directory. */
async function servePage(
  { dataDir }: Input<typeof upCommand.flags>["settings"],
  tools: Tools,
  logger: Logger,
): Promise<AsyncDisposable> {
  const ui = await openUi({ kubeconfig: undefined, dataDir }, { logger, port: 0 }, tools);
  tools.stdout.write(`\nThe page for the browser is at ${ui.url}. This link opens it once:\n  ${ui.createLink()}\n`);
  return ui;
}

/** Describes who can reach the server and how to change that. `hosts` are this machine's addresses for other machines. */
function describeReach(
  { url, advertised }: Instance,
  hosts: readonly string[],
  dataDir: string,
  sharedToken: boolean,
): string {
  const also = (addresses: readonly string[]): string =>
    addresses.length === 0 ? "" : `This host also has ${addresses.join(", ")}.\n`;
  const { host, others } = advertised;
  if (!isLoopbackServer(url)) {
    const chosen = others === undefined ? "" : `
Machines reach it at ${host}, an address of this host. To give another address or a name, start it
with --advertise-address. ${also(others)}`;
    return `
To add another machine, run the output of this command on it:
  tlsboot token create ${sharedToken ? "" : "--node NAME "}-o command${dataDir}
${chosen}`;
  }
  if (others !== undefined) {
    return "\nOnly this machine can reach it, because the host has no other address. Give one with --advertise-address.\n";
  }
  const [first = "NAME", ...more] = hosts;
  return `
Only this machine can reach it. To open it to the network, start it with
  --bind-address 0.0.0.0 --advertise-address ${first}
${also(more)}`;
}

function formatGreeting(
  instance: Instance,
  settings: Input<typeof upCommand.flags>["settings"],
  situation: Situation,
  hosts: readonly string[],
  cwd: string,
): string {
  const word = (path: string) => pathWord(path, cwd);
  const dataDir = settings.dataDir === "./tlsboot-data" ? "" : ` --data-dir ${word(instance.dir.root)}`;
  const kinds = instance.listExpectedProofs();
  const proving = kinds.length > 0 ? settings.inventory : undefined;
  const renewals = `the renewals of nodes${
    settings.webDomain.length === 0 ? "" : ` and the requests of web servers in ${settings.webDomain.join(", ")}`
  }`;
  const approval = settings.autoApprove
    ? `Requests of kubelets with this instance's bootstrap tokens are approved automatically, for ${
      settings.inventory === undefined ? "any node name" : `the machines in ${settings.inventory} only`
    }.`
    : proving === undefined
    ? `Only ${renewals} are approved automatically. To approve kubelets with this instance's bootstrap tokens too, for any node name:
  ${AUTO_APPROVE_COMMAND.replace("kubectl", () => `kubectl --kubeconfig ${word(instance.dir.adminKubeconfig)}`)}`
    : `The requests of machines with a proof are approved automatically, and so are ${renewals}.`;
  const policy = settings.policy.length === 0
    ? ""
    : `\nPolicies for other requests: ${settings.policy.join(", ")}. To see why one stays pending:
  tlsboot policy explain NAME${dataDir}`;
  const sharedToken = settings.sharedToken && proving === undefined;
  const noToken = proving === undefined
    ? "each machine needs its own token"
    : `the machines in ${word(proving)} prove their identity${
      settings.sharedToken ? "; when that file lists no proofs, the next start creates a shared token" : ""
    }`;
  const { certificate } = instance.authorities.serving;
  const newCa = instance.isNewCa ? `, created now and valid until ${formatTime(certificate.notAfter)}` : "";
  return `tlsboot is up at ${instance.url}
CA ${publicKeyPin(certificate)}${newCa}
data in ${displayPath(instance.dir.root, cwd)}
${sharedToken ? "" : `no shared token: ${noToken}\n`}
Next, in another terminal:

${formatNext(instance, { sharedToken, proving, kinds }, situation, dataDir, word)}
${approval}${policy}
${describeReach(instance, hosts, dataDir, sharedToken)}`;
}

/** Formats the next commands: for a pending request, or for the first or another machine. */
function formatNext(
  { url, dir, authorities }: Instance,
  { sharedToken, proving, kinds }: {
    readonly sharedToken: boolean;
    readonly kinds: readonly ProofKind[];
    /** The inventory whose machines prove their identity; undefined for none. */
    readonly proving: string | undefined;
  },
  { pending: [request, ...more], hasMachines }: Situation,
  dataDir: string,
  word: (path: string) => string,
): string {
  if (request !== undefined) {
    const all = more.length === 0 ? "" : `
  # see all ${more.length + 1} pending requests
  tlsboot get csr --pending${dataDir}
`;
    return `  # look at the request that is pending
  tlsboot describe csr ${request}${dataDir}

  # approve it
  tlsboot approve ${request}${dataDir}
${all}`;
  }
  const issued = `  # see which certificates were issued, and until when they are valid
  tlsboot get certificates${dataDir}
`;
  const pin = publicKeyPin(authorities.serving.certificate);
  if (proving !== undefined) {
    return `${formatProving(kinds, { inventory: word(proving), url, pin })}
${issued}`;
  }
  const name = hasMachines ? "n2" : "n1";
  const machine = sharedToken
    ? formatJoining("tlsboot", name, word(dir.bootstrapKubeconfig))
    : `  # make a token that only a machine called ${name} can use, and request its certificate with it
  tlsboot token create --node ${name}${dataDir}
  tlsboot bootstrap --server ${url} --token TOKEN --ca-cert-hash ${pin} ${formatMachine(name)}
`;
  if (hasMachines) {
    return `${issued}
${machine}`;
  }
  return `${machine}
  # see the requests
  tlsboot get csr${dataDir}

  # approve this machine
  tlsboot approve n1${dataDir}
`;
}

/**
 * Formats the next commands for a web server and for a browser. The token is shown only on a terminal, because the output
 * of a service is stored in a log that others can read.
 */
async function formatWebGreeting(
  { dir: { webKubeconfig }, authorities, url }: Instance,
  [domain]: readonly string[],
  { files, cwd, stdout }: Tools,
): Promise<string> {
  const server = `--server ${url} --ca-cert-hash ${publicKeyPin(authorities.serving.certificate)}`;
  const { token } = stdout.isTerminal ? await readCluster(webKubeconfig, files) : {};
  const credentials = token === undefined
    ? `--join ${pathWord(webKubeconfig, cwd)}`
    : `${server} --token ${token.reveal()}`;
  return `
  # on a web server, get a certificate for a name in ${domain}${
    token === undefined ? "; copy the file there first" : ""
  }
  tlsboot request web nas.${domain} ${credentials}

  # on the machine of a browser, trust this CA
  sudo tlsboot trust install ${server}
`;
}
