/** Creates a bootstrap token at the API server, or prints it as a manifest. */
import type { ApiClient } from "../../../client/objects/api.ts";
import { CLUSTER_INFO_NAME, CLUSTER_INFO_NAMESPACE, isLoopbackServer } from "../../../core/bootstrap/cluster_info.ts";
import { formatJoinCommands, type JoinTarget, parseJoinTarget } from "../../../core/bootstrap/join_command.ts";
import {
  BOOTSTRAP_TOKEN_USAGES,
  createTokenSecret,
  isBootstrapGroup,
  toTokenSecretName,
} from "../../../core/bootstrap/token_secret.ts";
import {
  type BootstrapToken,
  formatBootstrapToken,
  generateBootstrapToken,
  parseBootstrapToken,
} from "../../../core/bootstrap/token.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { ConfigMap } from "../../../core/kube/core_v1.ts";
import type { TokenCreateFlags } from "./flags.ts";
import { connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { formatSortedYaml } from "../../output/structured.ts";
import { warn } from "../../framework/report.ts";
import { TOKEN_COLLECTION } from "./token_api.ts";

/** The action of the command `tlsboot token create`. */
export async function run(input: Input<TokenCreateFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { ttl, usages, groups, description = "", print, printJoinCommand } = input.settings;
  checkLists(usages, groups);
  if (printJoinCommand) checkJoinable(usages, print);
  const token = chooseToken(input.args[0], io);
  if (ttl === 0) warn("this token never expires: anyone who finds it can use it forever", io);
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    ...createTokenSecret({
      token,
      usages,
      groups,
      description,
      ...(ttl === 0 ? {} : { expiration: new Date(io.clock.now().getTime() + ttl) }),
    }),
  };
  if (print) {
    io.stdout.write(formatSortedYaml(secret));
    return EXIT.done;
  }
  await using connection = await connect(input.settings, io);
  const target = printJoinCommand ? await readJoinTarget(connection.api, signal) : undefined;
  try {
    await connection.api.requestJson({ method: "POST", path: TOKEN_COLLECTION, body: secret }, signal);
  } catch (error) {
    if (!isAppError(error, "already_exists")) throw error;
    throw new AppError("already_exists", `cannot create token "${token.id}": ${toTokenSecretName(token.id)} exists`, {
      cause: error,
      hint: `delete it first with: tlsboot token delete ${token.id}`,
    });
  }
  if (target === undefined) {
    io.stdout.write(`${formatBootstrapToken(token)}\n`);
    return EXIT.done;
  }
  if (isLoopbackServer(target.server)) {
    warn(
      `${target.server} is an address of this machine alone: no other machine can join with these commands. To let ` +
        "others in, start the server with --bind-address 0.0.0.0 or with --advertise-address",
      io,
    );
  }
  const { tlsboot, kubeadm } = formatJoinCommands(target, token);
  io.stdout.write(`${tlsboot}\n${kubeadm}\n`);
  return EXIT.done;
}

/** Reads the address and the CA of the cluster. Called before the token is created, which would be useless without them. */
async function readJoinTarget(api: ApiClient, signal: AbortSignal): Promise<JoinTarget> {
  const path = `/api/v1/namespaces/${CLUSTER_INFO_NAMESPACE}/configmaps/${CLUSTER_INFO_NAME}`;
  const clusterInfo = await api.requestObject<ConfigMap>({ method: "GET", path }, signal).catch((error: unknown) => {
    if (!isAppError(error, "not_found")) throw error;
    throw unjoinable(`the cluster publishes no ${CLUSTER_INFO_NAME}`, error);
  });
  const target = parseJoinTarget(clusterInfo);
  if (target.ok) return target.value;
  throw unjoinable(target.error);
}

function unjoinable(why: string, cause?: unknown): AppError {
  return new AppError("not_found", `cannot print a join command: ${why}`, {
    cause,
    hint: "publish it with: kubeadm init phase bootstrap-token, or write a file with: tlsboot kubeconfig bootstrap",
  });
}

function checkJoinable(usages: readonly string[], isManifest: boolean): void {
  if (isManifest) throw new UsageError("give --print or --print-join-command, not both");
  if (usages.length === BOOTSTRAP_TOKEN_USAGES.length) return;
  throw new UsageError("joining needs a token for both usages, signing and authentication");
}

function chooseToken(text: string | undefined, io: Io): BootstrapToken {
  if (text === undefined) return generateBootstrapToken(io.random);
  const token = parseBootstrapToken(text);
  if (token.ok) return token.value;
  throw new UsageError(`cannot read the token: ${token.error}`);
}

function checkLists(usages: readonly string[], groups: readonly string[]): void {
  const usage = usages.find((item) => !BOOTSTRAP_TOKEN_USAGES.includes(item));
  if (usage !== undefined) {
    throw new UsageError(`cannot use "${usage}" as a usage: want ${BOOTSTRAP_TOKEN_USAGES.join(" or ")}`);
  }
  if (usages.length === 0) throw new UsageError("a token needs a usage: signing, authentication or both");
  const group = groups.find((item) => !isBootstrapGroup(item));
  if (group !== undefined) {
    throw new UsageError(`cannot use "${group}" as a group: want system:bootstrappers:<name>, of a-z, 0-9, : and -`);
  }
}
