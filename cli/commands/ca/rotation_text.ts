/** The texts of `tlsboot ca rotate`: the head of a rotation, the machines, users and places as a table, and the next command. */
import { type CensusRow, describeState } from "../../../core/ca_rotation/census.ts";
import type { ReplaceableCa, RotationVerb } from "../../../core/ca_rotation/steps.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import type { CaRotation } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { describeCa, describeCounts, describeStep } from "../../../core/report/ca_rotation.ts";
import { CA_KEY_FLAGS } from "../../flags/common.ts";
import { formatCommand, formatCommandLine } from "../../framework/command_line.ts";
import type { FlagSet } from "../../framework/flags.ts";
import { formatDescription } from "../../output/tab_writer.ts";
import { createTablePrinter, type TableColumn } from "../../output/table_printer.ts";
import { CA_FLAGS } from "./rotate_flags.ts";

/** The number of machines and users that are not ready, beyond which a text names no more of them without `-o wide`. */
const MAX_SHOWN = 50;

/** Formats the head of a rotation as lines: its step, its CAs, who follows it, and how many are in which state. */
export function formatRotation(
  ca: Pick<ReplaceableCa, "describeFollowers">,
  rotation: CaRotation,
  rows: readonly CensusRow[],
): string {
  const { step, renewBy } = rotation.spec;
  return `${
    formatDescription([
      ["Rotation", `${getName(rotation)}, ${describeStep(rotation)}`],
      ["Old CA", describeCa(rotation.spec.oldCA)],
      ["New CA", describeCa(rotation.spec.newCA)],
      ["Renewal", renewBy && step !== "Finish" ? `nodes renew until ${renewBy}` : undefined],
      ca.describeFollowers(rotation),
      ["Ready", step === "Finish" && rows.length === 0 ? undefined : describeCounts(rows)],
    ])
  }\n`;
}

const ON_MACHINE = "tlsboot bootstrap";
const ON_MACHINE_NOTE =
  "Run bootstrap on the machine, with the paths of its files, and while its kubelet is stopped.\n";

const RENEWING_NOTE = "Where bootstrap --rotate-certificates runs, a renewal that is due happens by itself.\n";

const COLUMNS: readonly TableColumn[] = [
  { name: "Name" },
  { name: "Kind" },
  { name: "State" },
  { name: "Last seen", priority: 1 },
  { name: "Command" },
];

/**
 * Formats machines and users as a table. Without `isWide`, only the first of them, and without the time; `status` is the
 * command that shows all.
 */
export function formatCensus(rows: readonly CensusRow[], isWide: boolean, status: string): string {
  if (rows.length === 0) return "";
  const shown = isWide ? rows : rows.slice(0, MAX_SHOWN);
  const table = createTablePrinter({ isWide }).print(
    COLUMNS,
    shown.map((row) => ({
      cells: [
        row.name,
        row.kind,
        `${describeState(row)}${row.isLeftBehind ? " (left behind)" : ""}`,
        row.lastSeen === undefined ? "<unknown>" : formatTime(row.lastSeen),
        row.command ?? "",
      ],
    })),
  );
  const more = rows.length - shown.length;
  const rest = more === 0 ? "" : `and ${more} more: see all with: ${status} -o wide\n`;
  const isOnMachine = shown.some(({ kind, command = "" }) => kind === "node" && command.startsWith(ON_MACHINE));
  const isRenewing = shown.some(({ state }) => state === "renewalDue");
  return `${table}${rest}${isOnMachine ? ON_MACHINE_NOTE : ""}${isRenewing ? RENEWING_NOTE : ""}`;
}

/** Formats a command for the same CA, with those of the settings that the command has. */
export function formatRotate(
  verb: RotationVerb,
  args: readonly string[],
  settings: Readonly<Record<string, unknown>>,
): string {
  const flags: FlagSet = verb === "status" ? CA_FLAGS : { ...CA_FLAGS, ...CA_KEY_FLAGS };
  return formatCommandLine(formatCommand({ path: ["ca", "rotate", verb], flags }, { args, settings }, String));
}
