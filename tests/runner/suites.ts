/**
 * The test suites, and the tests that a change needs. The files of a suite are found by folder. Each file of the
 * interoperability suite is also listed here once: in the core, in a group, or for `.ci/full` (see `suites_test.ts`).
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";

/** The files of each suite. */
export const SUITES: Readonly<Record<string, readonly string[]>> = {
  unit: [
    "core/**/*_test.ts",
    "controllers/**/*_test.ts",
    "server/**/*_test.ts",
    "client/**/*_test.ts",
    "instance/**/*_test.ts",
    "ui/**/*_test.ts",
    "cli/**/*_test.ts",
    "scripts/**/*_test.ts",
    "tests/*_test.ts",
    "tests/bench/*_test.ts",
    "tests/contract/*_test.ts",
    "tests/e2e/*_test.ts",
    "tests/fuzz/**/*_test.ts",
    // Reading, reducing and comparing answers needs no Kubernetes.
    "tests/interop/comparison/*_test.ts",
    "tests/interop/differential/*_test.ts",
    "tests/mutants/*_test.ts",
    "tests/overload/**/*_test.ts",
    "tests/runner/*_test.ts",
    "tests/security/*_test.ts",
    "tests/simulation/*_test.ts",
    "tests/torture/**/*_test.ts",
  ],
  file: ["tests/binary/*_test.ts"],
  interop: ["tests/interop/*_test.ts"],
  packages: ["tests/packages/*_test.ts"],
  programs: ["tests/programs/*_test.ts"],
  // They measure time, so they decide only before a release.
  times: ["tests/bench/times/*_test.ts"],
};

/** End-to-end tests that show the whole product. They run on Deno too, and with the released file. */
export const SMOKE: readonly string[] = [
  "tests/e2e/bootstrap_test.ts",
  "tests/e2e/cli_process_test.ts",
  "tests/e2e/offline_test.ts",
  "tests/e2e/post_quantum_test.ts",
  "tests/e2e/ui_test.ts",
  "tests/e2e/up_test.ts",
  "tests/e2e/upgrade_test.ts",
];

/** The files of the interoperability suite that every change needs, the slowest first. */
export const INTEROP_CORE: readonly string[] = [
  "comparison",
  "kubectl_comparison",
  "kubectl_changes",
  "signer_comparison",
  "kubeadm",
  "differential",
  "real_control_plane",
  "kubectl_csr_commands",
  "etcd_storage",
  "etcd_servers",
  "privilege_matrix",
  "kubelet",
  "openssl",
  "crl",
  "bootstrap_client",
  "values_go",
  "shell",
  "workflows",
];

/** The additional tests for a change of some paths. */
export interface Group {
  readonly name: string;
  /** The paths, or prefixes of paths, of the code that these tests cover. */
  readonly paths: readonly string[];
  /** Files of the interoperability suite, the slowest first. */
  readonly interop: readonly string[];
  /** The names of additional steps in `steps.ts`. */
  readonly steps?: readonly string[];
}

export const GROUPS: readonly Group[] = [
  {
    name: "storage",
    paths: ["server/storage/", "instance/", "cli/commands/backup/", "client/files", "tests/torture/"],
    interop: [
      "disk_fault",
      "disk_fault_commands",
      "etcd_restore",
      "etcd_lagging",
      "etcd_faults",
      "etcd_shared",
      "etcd_move",
      "etcd_handover",
      "etcd_model",
      "etcd_old",
      "etcd_tls",
      "disk_fault_log",
      "bit_rot",
      "full_disk",
      "backup",
      "history_check",
    ],
    steps: ["torture on etcd", "power loss"],
  },
  {
    name: "rotation",
    paths: ["core/ca_rotation/", "instance/ca_rotation/", "instance/authority/", "cli/commands/ca/"],
    interop: ["ca_rotation", "ca_rotation_cluster", "ca_rotate_servers", "new_ca"],
  },
  {
    name: "page",
    paths: ["ui/", "cli/commands/ui/"],
    interop: ["ui", "ui_load", "ui_security", "ui_kubernetes", "story"],
  },
  {
    name: "client",
    paths: ["client/", "core/machine/", "cli/commands/bootstrap/", "cli/commands/request/", "cli/commands/kubeconfig/"],
    interop: [
      "whole_kubelet",
      "soak",
      "bootstrap_hardship",
      "kubelet_rotation",
      "kubelet_ca",
      "request",
      "kubeconfig_user",
      "web_certificates",
      "client_node",
      "clock",
      "proxy_go",
    ],
  },
  {
    name: "certificates",
    paths: ["core/pki/", "core/request/", "core/signing/", "controllers/", "core/revocation/", "server/revocation/"],
    interop: [
      "chains",
      "zlint",
      "ca",
      "certmanager",
      "post_quantum",
      "pod_certificates",
      "malformed_requests",
      "signer_election",
      "signer_rights",
      "trust_bundles",
      "revocation",
    ],
  },
  {
    name: "approval",
    paths: ["core/approval/", "core/report/", "core/token/", "controllers/", "core/register/", "server/register/"],
    interop: [
      "approver_comparison",
      "approver_policy",
      "token_limits",
      "register",
      "review",
      "csr_bundle",
      "cluster_info",
    ],
  },
  {
    name: "attestation",
    paths: ["core/attestation/", "client/attestation/", "server/attestation/", "cli/commands/attest"],
    interop: ["attestation_machines", "attestation_tpm", "attestation_ssh"],
  },
  {
    name: "commands",
    paths: [
      "cli/",
      "client/health/",
      "instance/offline_signing/",
      "core/report/health/",
      "core/offline/",
      "docs/guides/",
    ],
    interop: ["printed_commands", "guides", "doctor", "doctor_cluster", "offline"],
  },
  {
    name: "server",
    paths: [
      "server/http/",
      "server/connections/",
      "server/metrics/",
      "server/flowcontrol/",
      "server/registry/",
      "server/authn/",
      "server/authz/",
      "server/admission/",
      "core/kube/",
      "core/rbac/",
      "core/service_accounts/",
      "core/audit/",
      "tests/overload/",
    ],
    interop: ["conformance", "metrics", "audit"],
    steps: ["overload"],
  },
  {
    name: "packaging",
    paths: ["packaging/", "scripts/", "docs/rbac/", "cli/systemd/", "tests/packages/", "tests/support/packages/"],
    interop: ["in_a_cluster", "mixin"],
    steps: ["packages"],
  },
];

/** Files of the interoperability suite that only `.ci/full` runs. */
export const INTEROP_FULL: readonly string[] = ["tls_scan"];

/** Paths whose change needs everything, because they decide what runs and how. */
const EVERYTHING = /^(?:\.ci\/|\.github\/|deno\.(?:json|lock)$|tests\/runner\/)/;

/** The files of the interoperability suite and the steps of `.ci/run` that a change needs. */
export interface Needed {
  readonly interop: readonly string[];
  readonly steps: readonly string[];
}

/**
 * Finds what a change needs: the core, the groups whose paths it touches, and the tests that have changed or import a
 * changed file. `changed` has the paths of the change, or is undefined if they are not known; `imports` reports whether
 * a test file imports a file of the tests, directly or through others.
 */
export function findNeeded(
  changed: readonly string[] | undefined,
  imports: (file: string, imported: string) => boolean = importsFile,
): Needed {
  const needsAll = changed === undefined || changed.some((path) => EVERYTHING.test(path));
  const touched = GROUPS.filter(({ paths }) =>
    needsAll || changed.some((path) => paths.some((start) => path.startsWith(start)))
  );
  const changedTests = (changed ?? []).filter((path) => path.startsWith("tests/"));
  const importsChanged = (name: string) => changedTests.some((path) => imports(toInteropFile(name), path));
  const all = [...INTEROP_CORE, ...GROUPS.flatMap(({ interop }) => interop)];
  const chosen = new Set([
    ...INTEROP_CORE,
    ...touched.flatMap(({ interop }) => interop),
    ...all.filter(importsChanged),
  ]);
  return {
    interop: all.filter((name) => chosen.has(name)).map(toInteropFile),
    steps: [...new Set(touched.flatMap(({ steps = [] }) => steps))],
  };
}

/** The path of a file of the interoperability suite. */
export function toInteropFile(name: string): string {
  return `tests/interop/${name}_test.ts`;
}

/** The file with the last commit that passed `.ci/full`. */
const BASE = ".ci/base";

/**
 * Lists the paths that differ from the commit in `.ci/base`. Returns undefined if the file is missing, or if the clone
 * is shallow and lacks the commit.
 */
export function listChanges(): readonly string[] | undefined {
  if (!existsSync(BASE)) return undefined;
  const base = readFileSync(BASE, "utf8").trim();
  try {
    const paths = execFileSync("git", ["diff", "--name-only", "--no-renames", base], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return paths.split("\n").filter((path) => path !== "" && path !== BASE);
  } catch {
    return undefined;
  }
}

/** Reports whether a test file is another file or imports it, directly or through others. Type imports do not count. */
export function importsFile(file: string, imported: string, seen: Set<string> = new Set()): boolean {
  if (file === imported) return true;
  if (seen.has(file) || !file.startsWith("tests/") || !existsSync(file)) return false;
  seen.add(file);
  const names = readFileSync(file, "utf8").matchAll(/^(?:im|ex)port (?!type )[^;]*? from "(\.[^"]+)"/gm);
  return [...names].some(([, name = ""]) => importsFile(posix.join(posix.dirname(file), name), imported, seen));
}
