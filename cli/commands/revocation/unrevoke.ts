/** Takes back the revocations that allow it. */
import { type ApiClient, listAll } from "../../../client/objects/api.ts";
import { AppError } from "../../../core/errors.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { Revocation } from "../../../core/kube/tlsboot_v1alpha1.ts";
import {
  canBeTakenBack,
  parseSerialNumber,
  type RevocationTarget,
  toRevocationName,
} from "../../../core/revocation/revocation.ts";
import { RecordedCertificates } from "../../../core/revocation/recorded_certificates.ts";
import { RevocationIndex } from "../../../core/revocation/revocation_index.ts";
import type { UnrevokeFlags } from "./flags.ts";
import { type ApiConnection, connect } from "../../api/connection.ts";
import { explainMissingGroup, REVOCATION_COLLECTION, revocationPath } from "../../api/records.ts";
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
    const count = await takeBack(text, target, connection, io.clock.now(), signal);
    const again = count === 1 ? "1 certificate works again" : `${count} certificates work again`;
    io.stdout.write(line`${text} is no longer revoked: ${again}\n`);
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

/** Deletes a revocation, and returns the number of certificates that no other one covers and that have not expired. */
async function takeBack(
  text: string,
  target: RevocationTarget,
  { api }: ApiConnection,
  now: Date,
  signal: AbortSignal,
): Promise<number> {
  const name = toRevocationName(target);
  const { items } = await explainMissingGroup(() => listAll<Revocation>(api, REVOCATION_COLLECTION, {}, signal));
  const revocation = items.find((item) => getName(item) === name);
  if (revocation === undefined) {
    throw new AppError("not_found", `cannot take back the revocation of "${text}": it is not revoked`, {
      hint: "list the revocations with: tlsboot get revocations",
    });
  }
  if (!canBeTakenBack(revocation)) {
    throw new AppError(
      "invalid",
      `cannot take back the revocation of "${text}": only a certificate on hold can return`,
      {
        hint: "issue a new certificate, such as with tlsboot kubeconfig user or tlsboot request",
      },
    );
  }
  const released = await countReleased(api, items, name, now, signal);
  await api.requestJson({ method: "DELETE", path: revocationPath(name) }, signal);
  return released;
}

/** Counts the valid certificates that a revocation covers and no other one does. */
async function countReleased(
  api: ApiClient,
  revocations: readonly Revocation[],
  name: string,
  now: Date,
  signal: AbortSignal,
): Promise<number> {
  const known = new RecordedCertificates();
  const [all, others] = [new RevocationIndex(known.findByFingerprint), new RevocationIndex(known.findByFingerprint)];
  for (const item of revocations) {
    all.put(item);
    if (getName(item) !== name) others.put(item);
  }
  let count = 0;
  for await (const { records } of createApiSource(api).pages(signal)) {
    for (const record of records) {
      known.put(record);
      const isValid = record.spec.notAfter === null || Date.parse(record.spec.notAfter) >= now.getTime();
      const isReleased = all.findForRecord(record) !== undefined && others.findForRecord(record) === undefined;
      if (isValid && isReleased) count += 1;
    }
  }
  return count;
}
