/** Runs the approving controller against a remote API, or prints the permissions that it needs. */
import { APPROVER_LEASE, collectPolicyNeeds, createApproverManifest } from "../../../core/approval/approver_rbac.ts";
import type { Policy } from "../../../core/approval/policy.ts";
import type { ManifestPart } from "../../../core/rbac/manifest.ts";
import type { approverCommand } from "./flags.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { createRoleLogger } from "../../logging.ts";
import { formatYamlManifest } from "../../output/structured.ts";
import { createCsrStore } from "../../../instance/controllers/controllers.ts";
import { followPolicies, readPolicies } from "../../../instance/controllers/policy_files.ts";
import { requireKubeconfig, runRemoteController } from "../../remote_controller.ts";
import { openNotifications, runRemoteNotifier } from "../../../instance/notifications.ts";
import { createSettingsStore, runApprover, watchRegister } from "../../../instance/controllers/run_approver.ts";
import { createServerNames } from "../../../client/transport/connect.ts";

export async function run(input: Input<typeof approverCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { settings } = input;
  if (settings.printRbac) {
    const { policies } = await readPolicies(settings, tools, { isInventoryOptional: true });
    tools.stdout.write(formatYamlManifest(createRightsManifest(policies, settings)));
    return EXIT.done;
  }
  const { dryRun } = settings;
  const kubeconfig = requireKubeconfig("approver", settings.kubeconfig, tools);
  const logger = createRoleLogger(input.settings, tools);
  const policies = await followPolicies(settings, { ...tools, logger });
  const requiring = policies?.current().policies.find(({ rules }) =>
    rules.some(({ require: { attested } }) => attested !== undefined)
  );
  if (requiring !== undefined && !settings.tokenLimits) {
    throw new UsageError(
      `policy "${requiring.name}" requires a proof, which is in the bootstrap token: give --token-limits`,
    );
  }
  const sender = await openNotifications(settings, tools);
  // A dry run must not take the lease from an approver that decides.
  const remote = { ...settings, kubeconfig, leaderElect: settings.leaderElect && !dryRun };
  const manifest = createRightsManifest(policies?.current().policies ?? [], settings);
  await runRemoteController(
    { command: "approver", lease: APPROVER_LEASE, manifest },
    remote,
    tools,
    logger,
    async (transport, deps, leading, cluster) => {
      const serverNames = createServerNames(cluster, tools);
      const approver = {
        policy: policies && { settings: policies, serverNames },
        ...(settings.tokenLimits ? { tokens: { isCheckedAtCreation: false } } : {}),
        isDryRun: dryRun,
        published: createSettingsStore(transport, deps),
        register: watchRegister(transport, deps),
      };
      await Promise.all([
        runApprover(createCsrStore(transport, deps), transport, approver, deps, leading),
        runRemoteNotifier({ sender, server: cluster.server }, transport, deps, leading),
      ]);
    },
  );
  return EXIT.done;
}

function createRightsManifest(
  policies: readonly Policy[],
  settings: Settings<typeof approverCommand.flags>,
): readonly ManifestPart[] {
  const { dryRun } = settings;
  return createApproverManifest({
    needs: collectPolicyNeeds(policies),
    dryRun,
    tokens: settings.tokenLimits,
    notifies: (settings.notify ?? settings.notifyFile) !== undefined,
    leaseNamespace: settings.leaderElect && !dryRun ? settings.leaderElectResourceNamespace : undefined,
  });
}
