/** Installs the missing Debian packages that tests need. */
import process from "node:process";
import { ensureDebianPackages, ensureNewOpenssl, ensureOldLibraries } from "./debian.ts";

const EMULATOR = ["qemu-user-static", "libc6-arm64-cross", "libstdc++6-arm64-cross", "libgcc-s1-arm64-cross"];
const BARE_HOST = ["strace", "util-linux", "iproute2"];
/** A compiler for the C files in tests/support/interop, and a library that sets the clock of programs. */
const FAULTS = ["gcc", "libc6-dev", "libfaketime"];
const SCANNER = ["testssl.sh"];
const BALANCER = ["haproxy"];
/** The web server that checks CRLs. */
const WEB_SERVER = ["nginx"];
const BACKUP = ["age"];
/** The Python client of tests/support/interop/programs.ts. */
const PROGRAMS = ["python3-kubernetes"];
/** runc also works inside a container, where crun rejects the control groups. */
const CONTAINERS = ["podman", "runc", "docker-compose"];
/** systemd runs the units, and curl checks whether they are ready. */
const SERVICES = ["systemd", "curl"];
/** Tools that check Debian packages, and build and install RPM packages. */
const PACKAGERS = ["lintian", "rpm"];
/** Chromium, a font, and certutil, which writes Chromium's certificate store. */
const BROWSER = ["chromium", "fonts-dejavu-core", "libnss3-tools"];
/** Software TPMs, a CA for them, TPM tools, and socat, which connects the tools to a socket. */
const TPM = ["swtpm", "swtpm-tools", "tpm2-tools", "socat"];

/** Trust stores: Java's, and p11-kit, which RHEL's update-ca-trust uses. */
const TRUST_STORES = ["default-jre-headless", "p11-kit", "ca-certificates"];

async function main(): Promise<void> {
  await ensureDebianPackages([
    ...EMULATOR,
    ...BARE_HOST,
    ...FAULTS,
    ...SCANNER,
    ...BALANCER,
    ...WEB_SERVER,
    ...BACKUP,
    ...PROGRAMS,
    ...CONTAINERS,
    ...SERVICES,
    ...PACKAGERS,
    ...BROWSER,
    ...TPM,
    ...TRUST_STORES,
  ]);
  await ensureOldLibraries();
  await ensureNewOpenssl();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
