/** Decides which files to write and which programs to run for a service of systemd, from what the machine has already. */
import { err, ok, type Result } from "../../core/lib/result.ts";
import type { TextFile } from "../../core/lib/tar.ts";
import { formatWords } from "../framework/command.ts";
import { PUBLIC_MODE } from "../../client/files.ts";

/** A service as it should be installed. */
export interface WantedService {
  /** The name of the unit, such as `tlsboot.service`. */
  readonly unit: string;
  /** The text of the unit, whose first line says that tlsboot has written it. */
  readonly text: string;
  /** The settings and secrets that it reads. */
  readonly files: readonly TextFile[];
  /** The user that the unit needs, as a line of sysusers.d(5). */
  readonly user?: string | undefined;
}

/** What the machine has of a service. */
export interface FoundService {
  /** The texts of the files that exist, by path: those of the service, and units of its name. */
  readonly texts: ReadonlyMap<string, string>;
  readonly hasUser: boolean;
  readonly isEnabled: boolean;
  /** systemd's ActiveState, such as `active`. */
  readonly state: string;
}

/** A step of an installation or a removal. */
export type ServiceStep =
  | { readonly kind: "write"; readonly file: TextFile }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "run"; readonly words: readonly [program: string, ...args: string[]] };

/** Why a service cannot be installed or removed, and what to do instead. */
export interface ServiceRefusal {
  readonly message: string;
  readonly hint: string;
}

/** Where units are that administrators, and tlsboot for them, write. */
export function unitPath(unit: string): string {
  return `/etc/systemd/system/${unit}`;
}

/** The units that packages install. */
const PACKAGED = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/** Lists the files whose texts the plan needs. */
export function listServicePaths({ unit, files }: Pick<WantedService, "unit" | "files">): readonly string[] {
  return [...files.map(({ path }) => path), unitPath(unit), ...PACKAGED.map((folder) => `${folder}/${unit}`)];
}

/** Plans an installation. An empty plan means that the service is installed like this, and runs. */
export function planInstallation(
  service: WantedService,
  found: FoundService,
): Result<readonly ServiceStep[], ServiceRefusal> {
  const { unit, user } = service;
  const refusal = findForeignUnit(unit, found) ?? findOtherService(service, found);
  if (refusal !== undefined) return err(refusal);
  // The unit is written first and removed last, so that an installation that is cut off can be removed with its secrets.
  const wanted = [{ path: unitPath(unit), text: service.text, mode: PUBLIC_MODE }, ...service.files];
  const writes = wanted.filter(({ path, text }) => found.texts.get(path) !== text);
  if (writes.length === 0 && found.hasUser && found.isEnabled && found.state === "active") return ok([]);
  return ok([
    ...(found.hasUser || user === undefined ? [] : [run("systemd-sysusers", "--inline", user)]),
    ...writes.map((file): ServiceStep => ({ kind: "write", file })),
    run("systemctl", "daemon-reload"),
    run("systemctl", "enable", unit),
    ...(found.state === "inactive" ? [] : [run("systemctl", "stop", unit)]),
    run("systemctl", "start", "--no-block", unit),
  ]);
}

/** Plans a removal. An empty plan means that there is no such service. */
export function planRemoval(
  { unit, files }: Pick<WantedService, "unit" | "files">,
  found: FoundService,
): Result<readonly ServiceStep[], ServiceRefusal> {
  const refusal = findForeignUnit(unit, found);
  if (refusal !== undefined) return err(refusal);
  if (!found.texts.has(unitPath(unit))) return ok([]);
  return ok([
    run("systemctl", "disable", "--now", unit),
    ...files.filter(({ path }) => found.texts.has(path)).map(({ path }): ServiceStep => ({ kind: "remove", path })),
    { kind: "remove", path: unitPath(unit) },
    run("systemctl", "daemon-reload"),
  ]);
}

function run(...words: readonly [program: string, ...args: string[]]): ServiceStep {
  return { kind: "run", words };
}

/** Refuses a unit of a package or of an administrator. */
function findForeignUnit(unit: string, { texts }: FoundService): ServiceRefusal | undefined {
  const packaged = PACKAGED.map((folder) => `${folder}/${unit}`).find((path) => texts.has(path));
  if (packaged !== undefined) {
    return {
      message: `${unit} belongs to a package: ${packaged}`,
      hint: `change /etc/tlsboot/up.yaml, then run: sudo systemctl enable ${unit} && sudo systemctl restart ${unit}`,
    };
  }
  const text = texts.get(unitPath(unit));
  if (text === undefined || text.startsWith("# Written by tlsboot ")) return undefined;
  return {
    message: `"${unitPath(unit)}" was not written by tlsboot`,
    hint:
      `manage this service with systemctl, or remove it: sudo systemctl disable --now ${unit}, then delete the file`,
  };
}

/** Refuses to replace the service of another machine name. */
function findOtherService({ unit, text }: WantedService, { texts }: FoundService): ServiceRefusal | undefined {
  const [has, wants] = [texts.get(unitPath(unit)) ?? text, text].map((one) => /^Description=(.*)$/m.exec(one)?.[1]);
  if (has === wants) return undefined;
  return { message: `${unit} exists for something else: ${has}`, hint: "remove it first, with --uninstall-service" };
}

/** Describes a step for the user. The text of a file is not shown, because it may be a secret. */
export function describeServiceStep(step: ServiceStep, { texts }: FoundService): string {
  switch (step.kind) {
    case "write":
      return `${texts.has(step.file.path) ? "change" : "write"} ${step.file.path}`;
    case "remove":
      return `remove ${step.path}`;
    case "run":
      return `run ${formatWords(step.words)}`;
  }
}

/** Finds in the text of a unit where its program keeps data, as text for the user. */
export function findDataFolders(unit: string): string {
  const [, state, folders] = /^(?:StateDirectory=(.*)|ReadWritePaths=(.*))$/m.exec(unit) ?? [];
  return state === undefined ? (folders ?? "").replaceAll(/(?<=^|[ "])-/g, "") : `/var/lib/${state}`;
}

/** Checks that this machine can have services and that this user may install them; `line` is what the user has typed. */
export function checkServiceHost(
  { hasSystemd, isRoot }: { readonly hasSystemd: boolean; readonly isRoot: boolean },
  line: string,
): ServiceRefusal | undefined {
  if (!hasSystemd) {
    return {
      message: "this machine does not run systemd, so it cannot have a service of systemd",
      hint: "start tlsboot from the init system that it has; the units in packaging/systemd, and those that " +
        "--print-systemd-unit prints, show how",
    };
  }
  return isRoot ? undefined : { message: "only root can install or remove a service", hint: `run: sudo ${line}` };
}
