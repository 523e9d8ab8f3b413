/** Checks in every source file the import rules and what the single-file build needs. */
import assert from "node:assert/strict";
import { dirname, join, normalize, parse } from "node:path";
import { test } from "node:test";
import { readSources, type SourceText } from "./support/sources.ts";

const ROOMS = ["core", "controllers", "server", "client", "instance", "ui", "cli"] as const;
type Room = typeof ROOMS[number];

/** Which rooms a room may import; each may import itself. */
const MAY_IMPORT: Readonly<Record<Room, readonly Room[]>> = {
  core: [],
  controllers: ["core"],
  server: ["core"],
  client: ["core"],
  instance: ["core", "controllers", "server", "client"],
  ui: ["core", "client"],
  cli: ["core", "controllers", "server", "client", "instance", "ui"],
};

/** Every file of the folder is a door. */
const ALL = "all";

/**
 * The files of each folder that other rooms and `mod.ts` may import; `.` is the room itself. A folder that is not listed
 * has no door.
 */
const DOORS: Readonly<Record<Room, Readonly<Record<string, readonly string[] | typeof ALL>>>> = {
  // The folders of core are small, and a file is loaded alone, so that a command loads no more than it uses.
  core: {
    ".": ALL,
    lib: ALL,
    "lib/yaml": ["document", "format"],
    kube: ALL,
    "kube/kinds": [
      "authentication_v1",
      "authorization_v1",
      "certificates_v1",
      "constants",
      "core_v1",
      "discovery",
      "events_v1",
      "kind",
      "meta_v1",
      "mod",
      "node_attestation",
      "nodes",
      "rbac_v1",
      "tlsboot_v1alpha1",
    ],
    "kube/wire": [
      "element_budget",
      "json_parser",
      "object_json",
      "protobuf",
      "protobuf_envelope",
      "scalars",
      "stored_form",
      "unstructured",
      "wire_format",
      "yaml",
    ],
    "kube/status": ALL,
    "kube/rules": ALL,
    "kube/patch": ["json_patch", "patch_result", "strategic"],
    "kube/apply": ["apply", "track_update"],
    "kube/openapi": ALL,
    "kube/kubeconfig": ALL,
    "pki/asn1": ALL,
    "pki/keys": ALL,
    "pki/x509": [
      "ca_bundle",
      "certificate",
      "chain",
      "name_constraints",
      "name_syntax",
      "names",
      "pkcs10",
      "subject_alternative_names",
      "usages",
    ],
    "pki/authority": ALL,
    request: ALL,
    approval: ALL,
    "approval/rules": ["evaluate_policies", "web_certificates"],
    "approval/evidence": ALL,
    signing: ALL,
    token: ALL,
    attestation: [
      "exchange",
      "known_hosts",
      "node_attestation",
      "proof",
      "ssh_private_key",
      "ssh_signature",
      "tpm_structures",
    ],
    machine: ALL,
    register: ALL,
    revocation: ALL,
    ca_rotation: ALL,
    offline: ALL,
    rbac: ALL,
    "rbac/default_rules": ["components"],
    service_accounts: ALL,
    audit: ALL,
    report: [
      "ca_rotation",
      "create_request_view",
      "notification",
      "record_rows",
      "request_summary",
      "request_view",
      "revocation_text",
      "words",
    ],
    "report/health": ALL,
  },
  client: {
    ".": ALL,
    admin: ALL,
    attestation: ["attest", "ssh_prover", "tpm_prover"],
    objects: ["access_reviews", "api", "object_store", "read_client_trust", "trust_bundles", "watch_events"],
    transport: ["connect", "time_limit", "tls_transport"],
    certificate: ["credential_store", "pair_folder", "submit_request"],
    health: ["cluster", "examine", "files", "machine"],
  },
  controllers: {
    ".": ["mod"],
    engine: ["leader_election", "loop"],
    signer: ["ca_provider", "profile_provider"],
    upkeep: ["bootstrap_tokens", "garbage_collector", "namespaces", "notifier", "trust_bundle_publisher"],
  },
  // Types come from `mod`; a value comes from its own file, so that a command loads no more than it uses.
  server: {
    ".": ["mod", "server", "bootstrap_objects"],
    connections: ["listener"],
    http: ["audit", "published_documents", "snapshot"],
    metrics: ["certificates", "controllers", "registry", "storage"],
    register: ["name_claims", "register", "upkeep"],
    registry: ["mod"],
    revocation: ["record_marks", "revocations"],
    storage: ["follow", "snapshot_lines", "storage"],
    "storage/sqlite": ["check", "sqlite_storage"],
    "storage/etcd": ["contents", "prefix", "restore", "snapshot", "storage"],
  },
  instance: {
    ".": [
      "attestor",
      "data_dir",
      "deps",
      "examine_data_dir",
      "feature_gates",
      "formats",
      "full_instance",
      "instance",
      "instance_rbac",
      "joining",
      "memory_instance",
      "named_files",
      "notifications",
      "quiet_heap",
      "settings",
    ],
    storage: ["etcd"],
    offline_signing: ALL,
    ca_rotation: ALL,
    parts: ["crl_files", "parts"],
    controllers: [
      "controllers",
      "policy_files",
      "run_approver",
      "signer_cas",
      "signer_profiles",
    ],
    authority: [
      "ca_swap",
      "files",
      "imported",
      "instance_authorities",
      "issue_pair",
      "issued_log",
      "keys",
      "layout",
      "next_ca",
      "rotation_record",
    ],
    backup: [
      "archive",
      "encryption",
      "manifest",
      "restore_backup",
      "source",
      "write_backup",
    ],
  },
  ui: { ".": ["page", "server"], pages: ["story"], story: ALL },
  cli: { ".": ["mod"], library: ALL },
};

/**
 * The folders and files of each room, lowest first: each may import only itself, its own line and the lines above. What is
 * listed itself does not count as part of its folder.
 */
const ORDER: Readonly<Record<Room, readonly (readonly string[])[]>> = {
  core: [
    ["version"],
    ["lib"],
    ["errors"],
    ["kube"],
    ["kube/kinds", "kube/kubeconfig"],
    ["kube/wire/message_plan", "kube/wire/object_json", "kube/wire/scalars"],
    ["kube/patch"],
    ["kube/status"],
    ["kube/wire"],
    ["kube/selectors", "kube/openapi"],
    ["kube/rules"],
    ["kube/apply"],
    ["ports"],
    ["pki/asn1"],
    ["pki/keys"],
    ["pki/x509"],
    ["pki/authority"],
    ["service_accounts"],
    ["request"],
    ["register"],
    ["rbac"],
    ["signing"],
    ["machine"],
    ["token"],
    ["attestation"],
    ["approval/conditions", "approval/policy", "approval/recognizers"],
    ["approval/evidence"],
    ["approval/approver_rbac", "approval/parse_policy", "approval/policy_fixture", "approval/published"],
    ["approval/rules"],
    ["approval"],
    ["audit"],
    ["offline"],
    ["revocation"],
    ["ca_rotation"],
    ["report/record_rows"],
    ["report/health"],
    ["report"],
    ["mod"],
  ],
  client: [
    ["files", "private_file", "keep_fresh", "host_facts"],
    ["transport"],
    ["objects"],
    ["certificate", "admin"],
    ["node_kubeconfig", "certificate_manager", "discover_cluster", "request_certificate"],
    ["bootstrap", "serving", "node_trust", "attestation"],
    ["offline_bootstrap", "keep_machine_fresh", "web_server", "health"],
    ["mod"],
  ],
  controllers: [["engine"], ["approver"], ["signer"], ["upkeep"], ["mod"]],
  server: [
    ["http2_sessions"],
    ["storage"],
    ["metrics/registry", "authn/authentication", "authz"],
    ["registry"],
    ["bootstrap_objects", "register"],
    ["authn/bootstrap_tokens", "revocation"],
    ["admission", "attestation"],
    ["authn/node_recovery"],
    ["authn"],
    ["http/limits", "http/request_info"],
    ["flowcontrol"],
    ["http"],
    ["metrics"],
    ["connections", "log_limiter"],
    ["app"],
    ["loopback"],
    ["server"],
    ["mod"],
  ],
  instance: [
    ["feature_gates", "named_files", "quiet_heap", "authority/layout"],
    ["data_dir", "settings"],
    ["authority", "formats"],
    ["deps"],
    ["storage"],
    ["backup"],
    ["instance_rbac"],
    ["controllers"],
    ["parts"],
    ["instance", "joining", "offline_signing", "ca_rotation", "examine_data_dir"],
    ["attestor", "notifications", "memory_instance"],
    ["full_instance"],
  ],
  ui: [
    ["access", "data", "files", "machines", "request_rows", "story"],
    ["page"],
    ["layout", "sources"],
    ["parts"],
    ["pages"],
    ["app"],
    ["server"],
  ],
  cli: [
    ["exit_code", "io", "node", "processes", "release_key", "sbom"],
    ["output/layout"],
    ["framework"],
    ["flags"],
    ["connection"],
    ["output"],
    ["attestation", "cas_to_trust", "cluster_credentials", "completed_names", "hooks", "logging", "offline_files"],
    ["open_ui", "plausible_clock", "release", "system", "terminal"],
    // It has the names of the stores, because the file with flags imports no code.
    ["commands/trust/flags"],
    ["passphrases", "systemd", "trust_stores"],
    ["remote_controller", "library"],
    ["commands"],
    ["run"],
    ["main", "mod"],
  ],
};

interface Source extends SourceText {
  readonly room: Room | "root";
  /** The text, with its comments replaced by blanks. */
  readonly code: string;
  readonly imports: readonly string[];
}

const sources: readonly Source[] = readSources(
  [...ROOMS.map((room) => `${room}/**/*.{ts,tsx}`), "mod.ts"],
  /_test\.ts$|\/_test_|testdata/,
).map(({ path, text }) => {
  const first = path.split("/")[0] as Room;
  const code = withoutComments(text);
  return { path, room: ROOMS.includes(first) ? first : "root" as const, text, code, imports: findImports(code) };
});

test("architecture: rooms import only rooms below them, and controllers, server and client not each other", () => {
  for (const { path, room, imports } of sources) {
    if (room === "root") continue;
    for (const specifier of imports.filter((name) => name.startsWith("."))) {
      const file = normalize(join(dirname(path), specifier));
      const target = file.split("/")[0] as Room;
      assert.ok(
        target === room || MAY_IMPORT[room].includes(target),
        `${path} imports ${specifier}: ${room} may import ${["itself", ...MAY_IMPORT[room]].join(", ")} only`,
      );
    }
  }
});

test("architecture: imports have no cycles, not even through types or import()", () => {
  const graph = new Map(sources.map((source) => [source.path, listTargets(source)]));
  for (const path of graph.keys()) {
    const cycle = findCycle(graph, path);
    assert.equal(cycle, undefined, `import cycle: ${cycle?.join(" → ")}`);
  }
});

test("architecture: the folders of a room import each other in one direction only", () => {
  for (const source of sources) {
    if (source.room === "root") continue;
    const order = ORDER[source.room];
    const own = findRank(order, source.path);
    for (const target of listTargets(source).filter((path) => path.startsWith(`${source.room}/`))) {
      const before = order.slice(0, own + 1).flat().join(", ");
      assert.ok(findRank(order, target) <= own, `${source.path} imports ${target}: it may import ${before} only`);
    }
  }
});

test("architecture: the other rooms enter a room through its doors", () => {
  const used = new Set<string>();
  for (const source of sources) {
    for (const target of listTargets(source)) {
      const [, room = "", folder = ".", file = ""] = /^(\w+)\/(?:([\w/]+)\/)?(\w+)\.tsx?$/.exec(target) ?? [];
      if (room === "" || room === source.room) continue;
      const doors = DOORS[room as Room][folder] ?? [];
      assert.ok(doors === ALL || doors.includes(file), `${source.path} imports ${target}, which is not a door`);
      used.add(`${room}/${folder}/${file}`);
    }
  }
  for (const [room, folders] of Object.entries(DOORS)) {
    for (const [folder, doors] of Object.entries(folders)) {
      for (const file of doors === ALL ? listFiles(join(room, folder)) : doors) {
        assert.ok(
          used.has(`${room}/${folder}/${file}`),
          `${room}/${folder}/${file} is a door, but no other room imports it: list the doors of its folder`,
        );
      }
    }
  }
});

test("architecture: a command imports no other command", () => {
  const family = (path: string): string | undefined => /^cli\/commands\/([^/]+)\//.exec(path)?.[1];
  for (const source of sources) {
    const own = family(source.path);
    for (const target of own === undefined ? [] : listTargets(source)) {
      assert.ok([undefined, own].includes(family(target)), `${source.path} imports ${target}`);
    }
  }
});

test("architecture: an exported name is unique", () => {
  const places = new Map<string, string>();
  for (const { path, code } of sources) {
    for (const name of listDeclaredExports(code)) {
      // Every command exports `run`, which is only loaded dynamically.
      if (name === "run" && path.startsWith("cli/")) continue;
      const other = places.get(name);
      assert.equal(other, undefined, `${other} and ${path} both export ${name}`);
      places.set(name, path);
    }
  }
});

test("architecture: @peculiar/x509 and its polyfill stay in core/pki", () => {
  for (const { path, imports } of sources) {
    const foreign = imports.filter((name) => name === "@peculiar/x509" || name === "reflect-metadata");
    assert.ok(foreign.length === 0 || path.startsWith("core/pki/"), `${path} imports ${foreign.join(", ")}`);
  }
});

test("architecture: Hono stays in server and ui, @bomb.sh/tab in cli/framework", () => {
  for (const { path, imports } of sources) {
    for (const name of imports) {
      if (/^(hono|@hono\/)/.test(name)) assert.match(path, /^(server|ui)\//, `${path} imports ${name}`);
      if (name === "@bomb.sh/tab") {
        assert.ok(path.startsWith("cli/framework/"), `${path} imports ${name}`);
      }
    }
  }
});

test("architecture: only ui has JSX, and only the commands that start the page import it", () => {
  const starters = /^cli\/(?:open_ui\.ts$|commands\/(?:ui|demo)\/)/;
  for (const source of sources) {
    if (source.path.endsWith(".tsx")) {
      assert.match(source.path, /^ui\//, `${source.path} has JSX outside of the page`);
    }
    if (source.path.startsWith("ui/") || starters.test(source.path)) continue;
    const target = listTargets(source).find((path) => path.startsWith("ui/"));
    assert.equal(target, undefined, `${source.path} imports ${target}`);
  }
});

test("architecture: the libraries for age, Shamir, QR and YAML are each imported in one place", () => {
  for (const { path, imports } of sources) {
    for (const name of imports) {
      assert.notEqual(name, "yaml", `${path} imports yaml: core/lib/yaml reads and prints YAML`);
      if (name === "js-yaml") assert.equal(path, "core/lib/yaml/tree.ts", `${path} imports ${name}`);
      if (name === "shamir-secret-sharing") {
        assert.equal(path, "cli/passphrases/secret_shares.ts", `${path} imports ${name}`);
      }
      if (name === "qr") assert.equal(path, "cli/offline_files.ts", `${path} imports ${name}`);
      if (name === "age-encryption") assert.match(path, /^instance\/backup\//, `${path} imports ${name}`);
    }
  }
});

test("architecture: core does no I/O", () => {
  // node:net is for isIP only, node:zlib for bytes in memory.
  const allowed = new Set(["node:crypto", "node:buffer", "node:net", "node:zlib"]);
  for (const { path, room, imports } of sources) {
    if (room !== "core") continue;
    for (const name of imports.filter((specifier) => specifier.startsWith("node:"))) {
      assert.ok(allowed.has(name), `${path} imports ${name}: core decides, and the other rooms do the I/O`);
    }
  }
});

test("architecture: clock, randomness, console and process are handed in", () => {
  const forbidden = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bconsole\.|\bprocess\./;
  for (const { path, room, code } of sources) {
    if (["cli", "instance", "root"].includes(room)) continue;
    const line = code.split("\n").findIndex((candidate) => forbidden.test(candidate));
    assert.equal(line, -1, `${path}:${line + 1} bypasses its ports`);
  }
});

test("architecture: every module fits into the single file", () => {
  for (const { path, code } of sources) {
    assert.ok(!/\bimport\.meta\b/.test(code), `${path} uses import.meta`);
    assert.ok(!/^(?:const|let|var)?[^\n=]*=?\s*await\s/m.test(toTopLevel(code)), `${path} awaits at top level`);
    assert.ok(!/\bDeno\.(?!customInspect)/.test(code), `${path} uses a Deno API, which Node lacks`);
    assert.ok(!/\bimport\s*\(\s*[^"'\s]/.test(code), `${path} imports a computed path, which no bundler can follow`);
    assert.ok(
      !/^(?:import|export)\b[^;]*\bwith\s*\{/m.test(code),
      `${path} imports text or JSON: write the data as a module`,
    );
    assert.ok(!/\bnew (?:Shared)?Worker\(/.test(code), `${path} starts a worker, whose module no bundle contains`);
  }
});

test("architecture: only erasable TypeScript, so that Node runs the sources", () => {
  for (const { path, code } of sources) {
    assert.ok(!/^\s*(?:export\s+)?(?:const\s+)?enum\s/m.test(code), `${path} declares an enum`);
    assert.ok(!/^\s*(?:export\s+|declare\s+)?namespace\s+[\w$.]+\s*\{/m.test(code), `${path} declares a namespace`);
  }
});

function findImports(code: string): readonly string[] {
  const statements = code.matchAll(
    /(?:\bfrom\s*|\bimport\s*\(\s*|^import\s+)["']([^"']+)["']/gm,
  );
  return [...statements].map(([, specifier]) => specifier!);
}

/** Lists the files that a file imports, types and `import()` included. */
function listTargets({ path, imports }: Source): readonly string[] {
  return imports.filter((name) => name.startsWith(".")).map((name) => normalize(join(dirname(path), name)));
}

/** Finds the shortest import cycle through a file. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>, start: string): readonly string[] | undefined {
  const paths = new Map<string, readonly string[]>([[start, [start]]]);
  // A map iterates in insertion order, including entries that are added meanwhile.
  for (const [path, route] of paths) {
    for (const target of graph.get(path) ?? []) {
      if (target === start) return [...route, start];
      if (!paths.has(target)) paths.set(target, [...route, target]);
    }
  }
  return undefined;
}

/** Lists the names of the files of a folder, without those of its folders. */
function listFiles(folder: string): readonly string[] {
  return sources.filter(({ path }) => dirname(path) === folder).map(({ path }) => parse(path).name);
}

/** Returns the index of the line of `ORDER` that lists a file, or else the nearest of its folders. */
function findRank(order: readonly (readonly string[])[], path: string): number {
  const [, ...steps] = path.replace(/\.tsx?$/, "").split("/");
  for (let length = steps.length; length > 0; length--) {
    const name = steps.slice(0, length).join("/");
    const rank = order.findIndex((line) => line.includes(name));
    if (rank >= 0) return rank;
  }
  assert.fail(`${path} is not in ORDER of this test`);
}

/** Lists the names that a file declares and exports, without its re-exports. */
function listDeclaredExports(code: string): ReadonlySet<string> {
  const declarations = code.matchAll(
    /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type) (\w+)/gm,
  );
  return new Set([...declarations].map(([, name]) => name!));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (block) => block.replace(/[^\n]/g, " ")).replace(/^\s*\/\/.*$/gm, "");
}

/** Returns the lines that are not indented: the module's own statements. */
function toTopLevel(code: string): string {
  return code.split("\n").filter((line) => /^\S/.test(line)).join("\n");
}
