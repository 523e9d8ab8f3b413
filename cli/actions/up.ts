/** Runs server, signer, approver and cleaners until they are stopped. */
import { isLoopbackServer } from "../../core/bootstrap/cluster_info.ts";
import { createFilePort } from "../../client/files.ts";
import { LEGACY_UNKNOWN_SIGNER } from "../../core/kube/certificates_v1.ts";
import { encodeTrust } from "../../core/pki/authority_chain.ts";
import { publicKeyPin } from "../../core/pki/public_key_pin.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import { BUILTIN_SIGNERS } from "../../core/signing/profile.ts";
import { createCaKeys } from "../authority/keys.ts";
import type { UpFlags } from "../commands/up.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Settings } from "../framework/flags.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { Io } from "../io.ts";
import { createRoleLogger } from "../logging.ts";
import { displayPath, pathWord } from "../output/display_path.ts";
import { ROOT_USER } from "../instance/control_plane.ts";
import { runElected } from "../instance/run_elected.ts";
import { runInProcess, secretStoreOver, type SigningSettings, trustedBy, UP_SIGNERS } from "../instance/controllers.ts";
import { AUTO_APPROVE_COMMAND, autoApproveBinding, initialBindings } from "../instance/instance_rbac.ts";
import { ensureClusterInfo } from "../instance/cluster_info.ts";
import { customSignerObjects } from "../instance/custom_signer.ts";
import { ensureBootstrapKubeconfig } from "../instance/bootstrap_kubeconfig.ts";
import { USER_AGENT } from "../user_agent.ts";
import { followPolicies } from "../instance/policy_files.ts";
import { approverObjects, createPolicyApproval } from "../instance/policy_approval.ts";
import { openSignerProfiles, type SignerChoice } from "../instance/signer_profiles.ts";
import { keepFresh } from "../instance/keep_fresh.ts";
import {
  isForAll,
  namesSigningCa,
  openInstanceCas,
  openSigningCas,
  signingDurationSeconds,
  toSigningCaFlags,
} from "../instance/signing_cas.ts";
import type { InstanceDeps } from "../instance/deps.ts";
import { type Instance, startInstance } from "../instance/instance.ts";

/** The action of the command `tlsboot up`. */
export async function run(input: Input<UpFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings } = input;
  const logger = createRoleLogger(input, io);
  const files = createFilePort();
  const keys = createCaKeys(settings, io, files, signal);
  const { clock, random, heap, cwd, stdout } = io;
  const deps = { files, clock, random, heap, logger, cwd, stdout, keys };
  const custom = await openSignerProfiles(settings, deps);
  assertCustom(custom.signerNames);
  const policies = await followPolicies(settings, deps);
  await using instance = await startInstance(settings, deps, (isNew) => [
    ...(isNew ? initialBindings() : []),
    ...(settings.autoApprove ? [autoApproveBinding()] : []),
    ...customSignerObjects(custom.signerNames),
    ...(policies === undefined ? [] : approverObjects(policies.current().policies)),
  ], { customSigners: custom.signerNames });
  const { signing, customSigning } = await openSigning(instance, settings, custom, deps);
  keys.passphrases.stopPrompting();
  const secrets = secretStoreOver(instance.server.transportFor(ROOT_USER, `${USER_AGENT} up`), deps);
  const cluster = { server: instance.url, caPem: encodeTrust(instance.authorities.serving) };
  await ensureClusterInfo(instance, cluster, deps, signal);
  const ensureToken = () => ensureBootstrapKubeconfig(instance.dir, secrets, cluster, deps, signal);
  if (settings.enableBootstrapTokenAuth) await ensureToken();

  io.stdout.write(formatGreeting(instance, settings, io.cwd));
  const watched = { ...deps, metrics: instance.controllerMetrics };
  const controllers = {
    ...signing,
    ...(customSigning === undefined ? {} : { customSigning }),
    caPem: cluster.caPem,
    storage: instance.storage,
    contents: instance.contents,
    without: [],
    ...(policies === undefined ? {} : { approval: createPolicyApproval(instance, policies, deps) }),
  };
  const runControllers = (life: AbortSignal) => runInProcess(instance.server, controllers, watched, life);
  const until = AbortSignal.any([signal, instance.lost]);
  await Promise.all([
    instance.isShared ? runElected(instance.server, watched, runControllers, until) : runControllers(until),
    keepFresh(
      async () => {
        await instance.renew();
        if (settings.enableBootstrapTokenAuth) await ensureToken();
      },
      deps,
      until,
    ),
  ]);
  instance.lost.throwIfAborted();
  return EXIT.done;
}

/** Throws UsageError for a built-in signer: `up` runs them anyway, except `legacy-unknown`, which guarantees nothing. */
function assertCustom(signerNames: readonly string[]): void {
  const builtin = signerNames.find((name) => BUILTIN_SIGNERS.has(name));
  if (builtin === undefined) return;
  const hint = builtin === LEGACY_UNKNOWN_SIGNER
    ? "run it separately with tlsboot signer"
    : "omit it: up runs it in any case, and --signer-name is for custom signers";
  throw new UsageError(`--signer-name: up cannot run "${builtin}" on request`, hint);
}

/**
 * The CAs that the flags name, or the instance's own. Signers of one's own have the CA for all signers, the
 * instance's own where each of Kubernetes' signers has one of its own.
 */
async function openSigning(
  instance: Instance,
  settings: Settings<UpFlags>,
  custom: SignerChoice,
  deps: InstanceDeps,
): Promise<{ readonly signing: SigningSettings; readonly customSigning: SigningSettings | undefined }> {
  const flags = toSigningCaFlags(settings);
  const own = await openInstanceCas(
    instance.dir.root,
    [...(namesSigningCa(flags) ? [] : UP_SIGNERS), ...(isForAll(flags) ? [] : custom.signerNames)],
    deps,
  );
  const cas = namesSigningCa(flags) ? await openSigningCas(flags, [], deps) : own;
  const rest = {
    signingDurationSeconds: signingDurationSeconds(settings, deps.logger),
    isTrustedForClients: trustedBy(instance.server),
  };
  const signing = { ...cas, ...rest, signerNames: cas.signerNames.filter((name) => UP_SIGNERS.includes(name)) };
  if (custom.signerNames.length === 0) return { signing, customSigning: undefined };
  const customCas = isForAll(flags) ? await openSigningCas(flags, custom.signerNames, deps) : own;
  return { signing, customSigning: { ...customCas, ...rest, ...custom } };
}

function policyFlags({ policy, inventory }: Input<UpFlags>["settings"]): string {
  const flags = policy.map((name) => `--policy ${shellWord(name)}`);
  return [...flags, ...(inventory === undefined ? [] : [`--inventory ${shellWord(inventory)}`])].join(" ");
}

function formatGreeting(instance: Instance, settings: Input<UpFlags>["settings"], cwd: string): string {
  const word = (path: string) => pathWord(path, cwd);
  const dataDir = settings.dataDir === "./tlsboot-data" ? "" : ` --data-dir ${word(instance.dir.root)}`;
  const approval = settings.autoApprove
    ? "Requests of kubelets with this instance's bootstrap tokens are approved by themselves, for any node name."
    : `Nothing is approved by itself but a node's renewal. To approve kubelets with this instance's bootstrap tokens, for any node name:
  ${AUTO_APPROVE_COMMAND.replace("kubectl", () => `kubectl --kubeconfig ${word(instance.dir.adminKubeconfig)}`)}`;
  const policy = settings.policy.length === 0
    ? ""
    : `\nBy policy ${settings.policy.join(", ")} other requests are decided too. Ask why a request stays pending with:
  tlsboot approver explain NAME${dataDir} ${policyFlags(settings)}`;
  const open = isLoopbackServer(instance.url)
    ? "\nOnly this machine can reach it. To open it to the network, start it with --bind-address 0.0.0.0\nand --advertise-address NAME.\n"
    : "";
  return `tlsboot is up at ${instance.url}
CA ${publicKeyPin(instance.authorities.serving.certificate)}
data in ${displayPath(instance.dir.root, cwd)}

Next, in another terminal:

  # ask for the certificate of a machine called n1
  tlsboot bootstrap --bootstrap-kubeconfig ${
    word(instance.dir.bootstrapKubeconfig)
  } --kubeconfig n1/kubeconfig --cert-dir n1/pki --hostname-override n1

  # see the requests
  tlsboot get csr${dataDir}

  # approve one
  tlsboot approve NAME${dataDir}

${approval}${policy}
${open}`;
}
