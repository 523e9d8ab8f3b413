/** Takes back the revocations that allow it. */
import { AppError, isAppError } from "../../../core/errors.ts";
import type { Revocation } from "../../../core/kube/tlsboot_v1alpha1.ts";
import {
  canBeTakenBack,
  parseSerialNumber,
  type RevocationTarget,
  toRevocationName,
} from "../../../core/revocation/revocation.ts";
import type { UnrevokeFlags } from "./flags.ts";
import { type ApiConnection, connect } from "../../api/connection.ts";
import { explainMissingGroup, revocationPath } from "../../api/records.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { forEachName } from "../../framework/for_each_name.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { createApiSource, findReferences } from "../certificates/source.ts";
import { parseTypedTarget, type TypedTarget } from "./targets.ts";

/** The action of the command `tlsboot unrevoke`. */
export async function run(input: Input<UnrevokeFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const targets = new Map(input.args.map((text) => [text, parseRevoked(text)]));
  await using connection = await connect(input.settings, io);
  return await forEachName([...targets.keys()], async (text) => {
    const target = await findTarget(targets.get(text), connection, signal);
    await takeBack(text, target, connection, signal);
    io.stdout.write(line`${text} is no longer revoked\n`);
    if (target.kind === "token") {
      io.stderr.write("a deleted token does not come back; make another one with: tlsboot token create\n");
    }
  }, { io, isDebug: input.isDebug, signal });
}

function parseRevoked(text: string): TypedTarget {
  const target = parseTypedTarget(text);
  if (target.kind !== "csr") return target;
  throw new UsageError(`cannot use "${text}": name its certificate by the serial number`);
}

/** Finds the whole serial number that the beginning of one stands for. */
async function findTarget(
  typed: TypedTarget | undefined,
  { api }: ApiConnection,
  signal: AbortSignal,
): Promise<RevocationTarget> {
  if (typed?.kind === "named") return typed.target;
  const text = typed?.text ?? "";
  const [found] = await findReferences(createApiSource(api), [text], signal);
  if (found !== undefined && !(found instanceof AppError)) {
    return { kind: "serial", value: found.spec.serialNumber ?? "" };
  }
  // A certificate that the register does not know may be revoked too.
  const serial = parseSerialNumber(text.replace(/^.*[/=]/, ""));
  if (found?.code === "not_found" && serial.ok) return { kind: "serial", value: serial.value };
  throw found ?? new AppError("not_found", `cannot find certificate "${text}"`);
}

async function takeBack(
  text: string,
  target: RevocationTarget,
  { api }: ApiConnection,
  signal: AbortSignal,
): Promise<void> {
  const path = revocationPath(toRevocationName(target));
  try {
    const revocation = await explainMissingGroup(() => api.requestObject<Revocation>({ method: "GET", path }, signal));
    if (!canBeTakenBack(revocation)) {
      throw new AppError(
        "invalid",
        `cannot take back the revocation of "${text}": only a certificate on hold can return`,
        {
          hint: "issue a new certificate, such as with tlsboot kubeconfig user or tlsboot request",
        },
      );
    }
    await api.requestJson({ method: "DELETE", path }, signal);
  } catch (error) {
    if (!isAppError(error, "not_found") || error.hint !== undefined) throw error;
    throw new AppError("not_found", `cannot take back the revocation of "${text}": it is not revoked`, {
      cause: error,
      hint: "list the revocations with: tlsboot get revocations",
    });
  }
}
