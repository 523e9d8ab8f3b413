/**
 * Installs what tests need from Debian: an emulator and libraries for arm64, tools that make a bare host, the libraries of
 * an old release, the OpenSSL of a new one, what makes a disk fail and sets a clock, a scanner of TLS, a load balancer, a
 * web server, age, which opens our backups, clients of Kubernetes, podman, systemd, rpm, a browser, TPMs in software, and
 * stores of trusted CAs. Does nothing where they are there.
 */
import process from "node:process";
import { ensureDebianPackages, ensureNewOpenssl, ensureOldLibraries } from "./debian.ts";

const EMULATOR = ["qemu-user-static", "libc6-arm64-cross", "libstdc++6-arm64-cross", "libgcc-s1-arm64-cross"];
const BARE_HOST = ["strace", "util-linux", "iproute2"];
/** The compiler is for `tests/support/interop/disk_fault.c`. */
const FAULTS = ["gcc", "libc6-dev", "libfaketime"];
const SCANNER = ["testssl.sh"];
const BALANCER = ["haproxy"];
/** The web server that checks CRLs. */
const WEB_SERVER = ["nginx"];
const BACKUP = ["age"];
/** The client of tests/support/interop/programs.ts that is written in Python. */
const PROGRAMS = ["python3-kubernetes"];
/** runc accepts the control groups of a machine that is a container itself, which crun does not. */
const CONTAINERS = ["podman", "runc", "docker-compose"];
/** The manager of services that runs the units, and a client that asks whether they are ready. */
const SERVICES = ["systemd", "curl"];
/** What checks Debian packages, and makes and installs RPM packages. */
const PACKAGERS = ["lintian", "rpm"];
/** Chromium, a font for its pages, and certutil, which writes the store of certificates that it reads. */
const BROWSER = ["chromium", "fonts-dejavu-core", "libnss3-tools"];
/** TPMs in software, the CA of their certificates, tools that use a TPM, and what connects these with a socket. */
const TPM = ["swtpm", "swtpm-tools", "tpm2-tools", "socat"];

/** The stores of trusted CAs: Java's, and p11-kit, by which RHEL's update-ca-trust makes its bundles. */
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
