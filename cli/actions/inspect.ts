/** Tells what is in files. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { messageOf } from "../../core/errors.ts";
import { AppError } from "../../core/errors.ts";
import type { InspectFlags } from "../commands/inspect.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { writeStructured } from "../output/structured.ts";
import { alignTabs, DESCRIBE_TABS } from "../output/tab_writer.ts";
import { line } from "../output/escape.ts";
import { forEachName } from "./each.ts";
import { type Finding, inspectBytes } from "./inspect_bytes.ts";

/** Certificates, requests and kubeconfigs are small; this is no tool for disks. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Runs `tlsboot inspect`. */
export async function run(input: Input<InspectFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { output } = input.settings;
  const all: { readonly file: string; readonly finding: Finding }[] = [];
  const code = await forEachName(input.args, async (file) => {
    const bytes = await readBytes(file, io, signal);
    const findings = await inspectBytes(bytes, resolve(io.cwd, file), io.clock.now());
    if (findings.length === 0) {
      throw new AppError("invalid", `cannot inspect "${file}": no certificate, request, key or kubeconfig is in it`);
    }
    all.push(...findings.map((finding) => ({ file, finding })));
    if (output === undefined) io.stdout.write(renderFindings(file, findings));
  }, { io, isDebug: input.isDebug, signal });
  if (output !== undefined) {
    await writeStructured(all.map(({ file, finding }) => ({ file, ...finding.facts })), output, io);
  }
  if (code !== EXIT.done) return code;
  return all.some(({ finding }) => finding.isOutdated) ? EXIT.no : EXIT.done;
}

async function readBytes(file: string, io: Io, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  if (file === "-") return new TextEncoder().encode(await io.stdin.readAll(signal));
  try {
    const bytes = await readFile(resolve(io.cwd, file), { signal });
    if (bytes.length > MAX_BYTES) {
      throw new AppError("invalid", `cannot inspect "${file}": it is larger than ${MAX_BYTES} bytes`);
    }
    return new Uint8Array(bytes);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AppError) throw error;
    const code = error instanceof Error && "code" in error ? error.code : "";
    const why = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : messageOf(error);
    throw new AppError("io", `cannot read "${file}": ${why}`, { cause: error });
  }
}

function renderFindings(file: string, findings: readonly Finding[]): string {
  return findings.map(({ title, lines }) => {
    const body = lines.map(([name, value]) => line`  ${name}:\t${value}`).join("\n");
    return `${line`${file}: ${title}`}\n${alignTabs(body, DESCRIBE_TABS)}\n`;
  }).join("");
}
