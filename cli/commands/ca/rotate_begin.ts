/** Begins to replace a CA: makes the new one, cross-signs it, and lets every server trust both. */
import { createFilePort } from "../../../client/files.ts";
import { readCensus, waitForServers } from "../../api/ca_rotations.ts";
import { connect } from "../../api/connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { dataDirAt } from "../../instance/data_dir.ts";
import { readEtcdPlace } from "../../instance/etcd_place.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { resolve } from "node:path";
import { describeNext, describeStep, formatRotation, isRotationReady } from "../../api/ca_rotation_text.ts";
import { checkNextCaFlags, findContinued, findReplacedCa, startCaRotation } from "./next_ca.ts";
import type { CaRotateBeginFlags } from "./rotate_flags.ts";

/** The time in which servers that share a storage see a new rotation and report; their number is not known before. */
const SETTLE_MS = 2_000;

/** The action of the command `tlsboot ca rotate begin`. */
export async function run(input: Input<CaRotateBeginFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args: [name = "ca"] } = input;
  if (settings.clusterSigningCertFile !== undefined) {
    return await (await import("./rotate_files.ts")).beginOnFiles(input, io, signal);
  }
  checkNextCaFlags(settings);
  const ca = await findReplacedCa(name, settings.dataDir, io);
  {
    await using connection = await connect(settings, io);
    const options = { ca, settings, api: connection.api, io, isLeaked: false };
    const continued = await findContinued(options, signal);
    if (continued !== undefined) {
      io.stderr.write(line`nothing to do: the rotation of ${name} ${describeStep(continued)}\n`);
    } else await startCaRotation(options, signal);
  }
  const wait = { settings, io, timeoutMs: settings.timeout };
  let rotation = await waitForServers(name, wait, signal);
  if (await readEtcdPlace(dataDirAt(resolve(io.cwd, settings.dataDir)), createFilePort()) !== undefined) {
    await io.clock.sleep(SETTLE_MS, signal);
    rotation = await waitForServers(name, wait, signal);
  }
  await using connection = await connect(settings, io);
  const rows = await readCensus(connection.api, rotation, io.clock, signal);
  const now = io.clock.now();
  io.stdout.write(formatRotation(rotation, rows, now));
  io.stderr.write(`${describeNext(rotation, isRotationReady(rotation, rows, now))}\n`);
  return EXIT.done;
}
