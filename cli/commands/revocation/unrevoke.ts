/** Takes back the revocations that allow it. */
import { AppError } from "../../../core/errors.ts";
import { parseSerialNumber, type RevocationTarget } from "../../../core/revocation/revocation.ts";
import type { unrevokeCommand } from "./flags.ts";
import type { ApiConnection } from "../../../client/admin/connection.ts";
import { connect } from "../../connection.ts";
import { createApiSource, findReferences } from "../../../client/admin/record_source.ts";
import { parseTypedTarget, takeBackRevocation, type TypedTarget } from "../../../client/admin/revocations.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { forEachItem } from "../../framework/for_each_item.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";

export async function run(input: Input<typeof unrevokeCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const targets = new Map(input.args.map((text) => [text, parseRevoked(text)]));
  await using connection = await connect(input.settings, tools);
  return await forEachItem(targets, async ([text, typed]) => {
    const target = await findTarget(typed, connection, signal);
    const count = await takeBackRevocation(text, target, connection.api, tools.clock.now(), signal);
    const again = count === 1 ? "1 certificate works again" : `${count} certificates work again`;
    tools.stdout.write(line`${text} is no longer revoked: ${again}\n`);
    if (target.kind === "token") {
      tools.stderr.write("a deleted token does not come back; make another one with: tlsboot token create\n");
    }
  }, tools);
}

function parseRevoked(text: string): TypedTarget {
  const target = parseTypedTarget(text);
  if (target.kind !== "csr") return target;
  throw new UsageError(`cannot use "${text}": name its certificate by the serial number`);
}

/** Finds the whole serial number for the beginning of one. */
async function findTarget(
  typed: TypedTarget,
  { api }: ApiConnection,
  signal: AbortSignal,
): Promise<RevocationTarget> {
  if (typed.kind === "named") return typed.target;
  const { text } = typed;
  const [found] = await findReferences(createApiSource(api), [text], signal);
  if (found !== undefined && !(found instanceof AppError)) {
    return { kind: "serial", value: found.spec.serialNumber ?? "" };
  }
  // A certificate that the register does not know may be revoked too.
  const serial = parseSerialNumber(text.replace(/^.*[/=]/, ""));
  if (found?.code === "not_found" && serial.ok) return { kind: "serial", value: serial.value };
  throw found ?? new AppError("not_found", `cannot find certificate "${text}"`);
}
