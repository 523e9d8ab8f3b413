/** Runs the signing controller against a remote API, or prints its permissions. */
import { resolve } from "node:path";
import { createApiClient } from "../../../client/objects/api.ts";
import { createClientTrust } from "../../../client/objects/read_client_trust.ts";
import { clusterTrustBundleKind, podCertificateRequestKind } from "../../../core/kube/kinds/mod.ts";
import type { RecordIssued, RecordPodCertificate } from "../../../controllers/mod.ts";
import { describePodOrigin } from "../../../core/register/record.ts";
import { BUILTIN_SIGNERS } from "../../../core/signing/profile.ts";
import type { ManifestPart } from "../../../core/rbac/manifest.ts";
import { createSignerManifest, createSignerObjectNames } from "../../../core/signing/signer_rbac.ts";
import { describeLoggedOrigin, openIssuedLog } from "../../../instance/authority/issued_log.ts";
import type { signerCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { createRoleLogger } from "../../logging.ts";
import { formatYamlManifest } from "../../output/structured.ts";
import { createCsrStore, runPodSigner, runSigner } from "../../../instance/controllers/controllers.ts";
import { openSignerProfiles } from "../../../instance/controllers/signer_profiles.ts";
import { requireKubeconfig, runRemoteController } from "../../remote_controller.ts";
import { openMlDsaGate } from "../../../instance/feature_gates.ts";
import { checkServedKinds } from "../../../client/admin/trust_bundles.ts";
import { openSigningCas, signingDurationSeconds } from "../../../instance/controllers/signer_cas.ts";
import { createCaSearch, openNotifications, runRemoteNotifier } from "../../../instance/notifications.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";

const POD_KINDS = [podCertificateRequestKind, clusterTrustBundleKind];
const UPGRADE = "upgrade kube-apiserver, or leave out --pod-certificates";

export async function run(input: Input<typeof signerCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings } = input;
  const logger = createRoleLogger(input.settings, tools);
  const keys = createCaKeys(settings, tools);
  const deps = { ...tools, logger, keys };
  const isForPods = settings.podCertificates;
  const { signerNames: chosen, profiles } = await openSignerProfiles(settings, deps, isForPods);
  if (settings.printRbac) {
    tools.stdout.write(
      formatYamlManifest(
        createRightsManifest(chosen, chosen.length > 0 ? chosen : [...BUILTIN_SIGNERS.keys()], settings),
      ),
    );
    return EXIT.done;
  }
  const kubeconfig = requireKubeconfig("signer", settings.kubeconfig, tools);
  const allowMlDsa = openMlDsaGate(settings.featureGates);
  const cas = await openSigningCas(settings, chosen, { ...deps, crlUrl: settings.crlUrl });
  const sender = await openNotifications(settings, tools);
  keys.passphrases.stopPrompting();
  using log = settings.issuedLog === undefined ? undefined : openIssuedLog(resolve(tools.cwd, settings.issuedLog), {
    clock: tools.clock,
    warn: (message) => logger.warn(message),
  });
  await log?.check();
  const signing = { ...cas, profiles, signingDurationSeconds: signingDurationSeconds(settings, logger), allowMlDsa };
  const manifest = createRightsManifest(chosen, cas.signerNames, settings);
  const { lease } = createSignerObjectNames(chosen, isForPods);
  await runRemoteController(
    { command: "signer", lease, manifest },
    { ...settings, kubeconfig },
    tools,
    logger,
    async (transport, deps, leading, { server }) => {
      const findEnding = createCaSearch(cas, deps.clock);
      const notifier = { sender, server, hasRequests: !isForPods, findEnding };
      const trusting = { ...signing, isTrustedForClients: createClientTrust(transport, deps, leading) };
      if (isForPods) {
        await checkServedKinds(createApiClient(transport, deps), POD_KINDS, UPGRADE, leading);
        const record: RecordPodCertificate | undefined = log &&
          ((certificate, request, authority) => log.record(certificate, authority, describePodOrigin(request)));
        await Promise.all([
          runPodSigner(transport, { ...trusting, record }, deps, leading),
          runRemoteNotifier(notifier, transport, deps, leading),
        ]);
      } else {
        const record: RecordIssued | undefined = log &&
          ((certificate, csr, authority) => log.record(certificate, authority, describeLoggedOrigin(csr)));
        await Promise.all([
          runSigner(createCsrStore(transport, deps), { ...trusting, record }, deps, leading),
          runRemoteNotifier(notifier, transport, deps, leading),
        ]);
      }
    },
  );
  return EXIT.done;
}

function createRightsManifest(
  chosen: readonly string[],
  signerNames: readonly string[],
  settings: Settings<typeof signerCommand.flags>,
): readonly ManifestPart[] {
  const leaseNamespace = settings.leaderElect ? settings.leaderElectResourceNamespace : undefined;
  const isForPods = settings.podCertificates;
  const names = createSignerObjectNames(chosen, isForPods);
  const notifies = (settings.notify ?? settings.notifyFile) !== undefined;
  return createSignerManifest({ signerNames, isForPods, names, notifies, leaseNamespace });
}
