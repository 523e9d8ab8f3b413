/** Makes a bootstrap token: at the API server, or as a manifest. */
import {
  BOOTSTRAP_TOKEN_USAGES,
  isBootstrapGroup,
  tokenSecret,
  tokenSecretName,
} from "../../core/bootstrap/token_secret.ts";
import {
  type BootstrapToken,
  formatBootstrapToken,
  generateBootstrapToken,
  parseBootstrapToken,
} from "../../core/bootstrap/token.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { TokenCreateFlags } from "../commands/token/create.ts";
import { connect } from "../connection.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { Io } from "../io.ts";
import { sortKeys } from "../output/json.ts";
import { createStyle } from "../output/style.ts";
import { TOKEN_COLLECTION } from "./token_api.ts";

/** Runs `tlsboot token create`. */
export async function run(input: Input<TokenCreateFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { ttl, usages, groups, description = "", print } = input.settings;
  checkLists(usages, groups);
  const token = chooseToken(input.args[0], io);
  if (ttl === 0) warn(io, "this token never expires: whoever finds it can use it for ever");
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    ...tokenSecret({
      token,
      usages,
      groups,
      description,
      ...(ttl === 0 ? {} : { expiration: new Date(io.clock.now().getTime() + ttl) }),
    }),
  };
  if (print) {
    const { formatYaml } = await import("../../core/kube/codec/yaml.ts");
    io.stdout.write(formatYaml(sortKeys(secret)));
    return EXIT.done;
  }
  await using connection = await connect(input.settings, io);
  try {
    await connection.api.requestJson({ method: "POST", path: TOKEN_COLLECTION, body: secret }, signal);
  } catch (error) {
    if (!isAppError(error, "already_exists")) throw error;
    throw new AppError("already_exists", `cannot create token "${token.id}": ${tokenSecretName(token.id)} exists`, {
      cause: error,
      hint: `delete it first with: tlsboot token delete ${token.id}`,
    });
  }
  io.stdout.write(`${formatBootstrapToken(token)}\n`);
  return EXIT.done;
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

function warn(io: Io, text: string): void {
  io.stderr.write(`tlsboot: ${createStyle(io.stderr, io.env).yellow("warning:")} ${text}\n`);
}
