/**
 * Installs the service of `tlsboot up`: asks where to listen, writes the settings file, and shows the next commands. The
 * greeting of `up` shows the same commands.
 */
import { readlink } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { BUILTIN_POLICIES } from "../../../core/approval/policy.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { isLoopbackServer } from "../../../core/token/cluster_info.ts";
import { listReachableHosts } from "../../../core/machine/node_name.ts";
import { findListener, readInterfaces } from "../../../client/host_facts.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { readChain } from "../../../instance/authority/files.ts";
import { authorityPaths } from "../../../instance/authority/layout.ts";
import { readPolicies } from "../../../instance/controllers/policy_files.ts";
import { listProofKinds } from "../../../core/approval/evidence/inventory.ts";
import { checkAddress } from "../../../server/connections/listener.ts";
import { canAsk } from "../../terminal.ts";
import { type ExitCode, UsageError } from "../../exit_code.ts";
import { formatSetting, type Input, isConfigurable } from "../../framework/command.ts";
import { flagName } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { runToEnd } from "../../processes.ts";
import { checkHost, installService, uninstallService } from "../../systemd/install.ts";
import { findUnitProgram, isHiddenByUnit } from "../../systemd/unit.ts";
import { upCommand } from "./flags.ts";
import { SERVICE } from "./service_texts.ts";
import type { ProofKind } from "../../../core/attestation/proof.ts";
import { PROOF_NAMES } from "../../attestation.ts";
import { parseConfigFile } from "../../framework/config_file.ts";
import { PUBLIC_MODE } from "../../../client/files.ts";

type UpInput = Input<typeof upCommand.flags>;
type Texts = Readonly<Record<string, readonly string[]>>;

const UNIT = "tlsboot.service";
const SETTINGS = "/etc/tlsboot/up.yaml";
const DATA = "/var/lib/tlsboot";

/** Installs or removes the service, depending on the flags. */
export async function manageService({ settings, origins }: UpInput, tools: Tools): Promise<ExitCode> {
  const { yes } = settings;
  const state = await checkHost(UNIT, upCommand, { settings }, tools);
  if (settings.uninstallService) {
    const files = [{ path: SETTINGS, text: "", mode: PUBLIC_MODE }];
    return await uninstallService({ unit: UNIT, files }, state, settings, tools);
  }
  const program = findUnitProgram(tools);
  const before = await tools.files.readText(SETTINGS) ?? SERVICE["up.yaml"] ?? "";
  const present = readSettings(before);
  const given = listGiven(settings, origins, tools.cwd);
  const address = await chooseAddress(given, present, yes, tools);
  const text = setSettings(before, { ...given, ...address }, present);
  const { sharedToken: [sharedToken] = [], inventory: [inventory] = [] } = readSettings(text);
  const listed = await readPolicies({ policy: [], inventory }, { files: tools.files, cwd: "/" });
  const kinds = listed.inventory === undefined ? [] : listProofKinds(listed.inventory);
  const [bindAddress = "", port = ""] = [address["bindAddress"]?.[0], address["securePort"]?.[0]];
  await checkPort(bindAddress, Number(port), state["MainPID"]);
  const unitText = (SERVICE["tlsboot.service"] ?? "").replace(/(?<=^ExecStart=)tlsboot/m, () => program);
  return await installService(
    {
      unit: UNIT,
      text: `# Written by tlsboot up --install-service.\n${unitText}`,
      files: [{ path: SETTINGS, text, mode: PUBLIC_MODE }],
      user: SERVICE["sysusers.conf"]?.split("\n").find((line) => line.startsWith("u ")),
    },
    state,
    {
      yes,
      timeout: Infinity,
      summary: `listens on ${bindAddress}, port ${port}; data in ${DATA}, settings in ${SETTINGS}`,
      next: async (status) => {
        const url = status.replace("serving ", "");
        const machine = inventory === undefined || kinds.length === 0
          ? formatFirstMachine(isLoopbackServer(url), sharedToken !== "false")
          : formatProving(kinds, {
            inventory,
            url,
            pin: publicKeyPin((await readChain(authorityPaths(DATA), tools.files)).certificate),
          });
        return await formatNext(url, bindAddress, machine);
      },
      undo: "sudo tlsboot up --uninstall-service",
    },
    tools,
  );
}

/** Reads a settings file. Throws UsageError for a file that would keep the server from starting. */
function readSettings(text: string): Texts {
  const { raw, faults } = parseConfigFile(text, SETTINGS, upCommand.flags, (key) => isConfigurable(key, upCommand));
  if (faults.length === 0) return raw;
  throw new UsageError(faults.join("\n"), `correct the file: sudoedit ${SETTINGS}`);
}

/** Lists the settings that the user has given, with absolute paths. Throws UsageError for a path that the unit hides. */
function listGiven(settings: UpInput["settings"], origins: UpInput["origins"], cwd: string): Texts {
  const given = Object.entries(upCommand.flags).filter(([key]) =>
    origins[key] !== "default" && isConfigurable(key, upCommand) && key !== "dataDir"
  );
  return Object.fromEntries(given.map(([key, flag]) => {
    const toAbsolute = (path: string): string => {
      const absolute = BUILTIN_POLICIES.has(path) ? path : resolve(cwd, path);
      if (!isHiddenByUnit(absolute)) return absolute;
      throw new UsageError(
        `--${flagName(key)}: the service cannot read "${absolute}", because its unit hides that folder`,
        "copy the file to /etc/tlsboot, where the user tlsboot can read it",
      );
    };
    return [key, formatSetting(flag, settings[key as keyof typeof settings], toAbsolute)];
  }));
}

/** Chooses where to listen: from the flags, else the user's answer, else the settings file, else the default. */
async function chooseAddress(given: Texts, present: Texts, yes: boolean, tools: Tools): Promise<Texts> {
  const hosts = listReachableHosts(await readInterfaces(tools.files));
  const others = hosts.length === 0 ? "" : `, which reach it at ${hosts.join(" or ")}`;
  const questions = {
    bindAddress: `Address to listen on: 127.0.0.1 for this machine alone, 0.0.0.0 for others too${others}`,
    securePort: "Port",
  } as const;
  const chosen: Record<string, readonly string[]> = {};
  for (const key of ["bindAddress", "securePort"] as const) {
    const known = given[key] ?? present[key] ?? [String(upCommand.flags[key].default)];
    chosen[key] = given[key] !== undefined || yes || !canAsk(tools)
      ? known
      : [await ask(key, questions[key], known.join(), tools)];
  }
  return chosen;
}

/** Asks until the answer is a valid value of the flag. An empty answer means `fallback`. */
async function ask(
  key: "bindAddress" | "securePort",
  question: string,
  fallback: string,
  { stdin, stderr, signal }: Tools,
): Promise<string> {
  for (;;) {
    stderr.write(`${question} [${fallback}] `);
    const line = await stdin.readLine(signal);
    if (line === undefined) throw new UsageError("the terminal was closed before the last answer");
    const answer = line.trim() === "" ? fallback : line.trim();
    const parsed = upCommand.flags[key].parse([answer]);
    if (parsed.ok) return answer;
    stderr.write(`"${answer}": ${parsed.error}\n`);
  }
}

/** Throws AppError `port_in_use` when a program other than the service listens at the address. */
async function checkPort(bindAddress: string, port: number, ownPid: string | undefined): Promise<void> {
  try {
    await checkAddress({ bindAddress, port });
  } catch (error) {
    if (!isAppError(error, "port_in_use")) throw error;
    const pid = (await findListener(port))?.pid;
    if (pid !== undefined && String(pid) === ownPid) return;
    const by = pid === undefined
      ? ""
      : ` by ${basename(await readlink(`/proc/${pid}/exe`).catch(() => "a program"))}, process ${pid}`;
    throw new AppError("port_in_use", `${error.message}${by}`, { cause: error, hint: error.hint });
  }
}

/** Formats what to do after the start: open the firewall, and add the first machine. */
async function formatNext(url: string, bindAddress: string, machine: string): Promise<string> {
  const active = await Promise.all(FIREWALLS.map((name) => runToEnd("systemctl", ["is-active", name])));
  return `
${
    isLoopbackServer(url)
      ? formatLocal(bindAddress)
      : formatFirewall(new URL(url).port || "443", FIREWALLS.filter((_, index) => active[index]?.ok))
  }
${machine}
  # see the requests
  sudo tlsboot get csr --data-dir ${DATA}

  # approve one
  sudo tlsboot approve NAME --data-dir ${DATA}
`;
}

/**
 * Sets keys of a settings file and leaves everything else in it unchanged, including comments. A key that already has the
 * wanted texts, according to `present`, keeps its line. A commented-out example of a key is replaced.
 */
export function setSettings(
  text: string,
  wanted: Readonly<Record<string, readonly string[]>>,
  present: Readonly<Record<string, readonly string[]>>,
): string {
  return Object.entries(wanted).reduce((edited, [key, texts]) => {
    if (JSON.stringify(present[key]) === JSON.stringify(texts)) return edited;
    const [first = ""] = texts;
    const isPlain = texts.length === 1 && /^(?:0|[1-9]\d*|true|false)$/.test(first);
    const line = `${key}: ${isPlain ? first : JSON.stringify(texts.length === 1 ? first : texts)}\n`;
    // A list continues on the lines below its key.
    const entries = [`^${key}:.*\n(?:(?:[ \t]|- ).*\n)*`, `^# ${key}:.*\n`].map((entry) => new RegExp(entry, "m"));
    const entry = entries.find((one) => one.test(edited));
    return entry === undefined ? `${edited}${line}` : edited.replace(entry, () => line);
  }, `${text.trimEnd()}\n`);
}

/** The services of the firewalls to look for. */
const FIREWALLS: readonly string[] = ["firewalld", "ufw", "nftables"];

/** Formats the commands that open a port in the active firewalls, or in the usual ones if none is active. */
export function formatFirewall(port: string, active: readonly string[]): string {
  const commands: Readonly<Record<string, string>> = {
    firewalld: `sudo firewall-cmd --permanent --add-port=${port}/tcp && sudo firewall-cmd --reload`,
    ufw: `sudo ufw allow ${port}/tcp`,
    nftables: `sudo nft add rule inet filter input tcp dport ${port} accept   # and in /etc/nftables.conf`,
  };
  const isKnown = active.length > 0;
  const lines = (isKnown ? active : ["firewalld", "ufw"]).map((name) => `  ${commands[name]}\n`);
  return `${isKnown ? "Open its port in the firewall" : "If this machine has a firewall, open its port"}:\n${
    lines.join("")
  }`;
}

/** Formats the command with which a machine on the server's host requests its certificate with the shared token. */
export function formatJoining(tlsboot: string, name: string, bootstrapKubeconfig: string): string {
  return `  # request the certificate of a machine called ${name}
  ${tlsboot} bootstrap --bootstrap-kubeconfig ${bootstrapKubeconfig} ${formatMachine(name)}
`;
}

/** Formats the flags for the files and the name of a machine. */
export function formatMachine(name: string): string {
  return `--kubeconfig ${name}/kubeconfig --cert-dir ${name}/pki --hostname-override ${name}`;
}

/** Formats the commands with which machines prove their identity, one for each kind of proof in the inventory. */
export function formatProving(
  kinds: readonly ProofKind[],
  { inventory, url, pin }: { readonly inventory: string; readonly url: string; readonly pin: string },
): string {
  return kinds.map((kind) =>
    `  # on each machine that ${inventory} lists with ${PROOF_NAMES[kind]}, prove its identity and get its certificate
  sudo tlsboot bootstrap --attest ${kind} --server ${url} --ca-cert-hash ${pin} --rotate-certificates
`
  ).join("\n");
}

/** Formats how to open a server that only this machine can reach. */
export function formatLocal(bindAddress: string): string {
  const open = bindAddress === "0.0.0.0" || bindAddress === "::"
    ? "this host has no other address: give one with --advertise-address"
    : "to open it to the network, run: sudo tlsboot up --install-service --bind-address 0.0.0.0";
  return `Only this machine can reach it; ${open}\n`;
}

/** Formats the command that adds the first machine with a token. `isLocal` is true if only this host reaches the server. */
export function formatFirstMachine(isLocal: boolean, sharedToken: boolean): string {
  const create = "sudo tlsboot token create";
  const dataDir = "--data-dir /var/lib/tlsboot";
  if (!isLocal) {
    const name = sharedToken ? "" : "--node NAME ";
    return `  # to add a machine, run the output of this command on it\n  ${create} ${name}-o command ${dataDir}\n`;
  }
  if (sharedToken) return formatJoining("sudo tlsboot", "n1", "/var/lib/tlsboot/bootstrap.kubeconfig");
  return `  # make a token that only a machine called n1 can use\n  ${create} --node n1 ${dataDir}\n`;
}
