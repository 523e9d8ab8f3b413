/** The default adapters of the library: the system's clock and randomness, and no log. */
import process from "node:process";
import { type Connect, createConnector, createFilePort, type FilePort } from "../../client/mod.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import type { InstanceDeps } from "../../instance/deps.ts";
import { createSystemClock, createSystemRandom } from "../system.ts";
import { USER_AGENT } from "../../core/version.ts";
import { createCaKeys } from "../passphrases/passphrase.ts";

/** Clock, randomness and log, which are passed to every part of the library. */
export interface SystemPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {}, with: () => SILENT };

/** Creates the ports of the system, with a logger that drops all messages. Each port can be replaced. */
export function createSystemPorts({ clock, random, logger }: Partial<SystemPorts> = {}): SystemPorts {
  return {
    clock: clock ?? createSystemClock(),
    random: random ?? createSystemRandom(),
    logger: logger ?? SILENT,
  };
}

/** Creates the ports of a client. */
export function createClientPorts(
  ports: Partial<SystemPorts>,
): SystemPorts & { readonly files: FilePort; readonly connect: Connect } {
  const system = createSystemPorts(ports);
  const files = createFilePort();
  return { ...system, files, connect: createConnector({ ...system, files, env: process.env, userAgent: USER_AGENT }) };
}

/** Creates the adapters of an instance, which never prompt. */
export function createLibraryDeps(
  ports: Partial<SystemPorts>,
  passphraseFile: string | undefined,
  signal: AbortSignal,
): InstanceDeps {
  const files = createFilePort();
  const cwd = process.cwd();
  const nothing = () => Promise.resolve(undefined);
  const stdin = { isTerminal: false, readAll: () => Promise.resolve(""), readLine: nothing, readHidden: nothing };
  const stderr = { isTerminal: false, columns: undefined, write() {} };
  const settings = { caPassphraseFile: passphraseFile === undefined ? [] : [passphraseFile] };
  const system = createSystemPorts(ports);
  return {
    ...system,
    files,
    cwd,
    keys: createCaKeys(settings, { stdin, stderr, cwd, env: process.env, clock: system.clock, files, signal }),
    heap: undefined,
    stdout: { write() {} },
  };
}
