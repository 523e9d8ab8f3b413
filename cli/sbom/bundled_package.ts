/** The bill of materials: whose work is inside the single file, as the lock file says. */

/** A package of npm that the program imports, itself or through another. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression, as the package says. */
  readonly license: string;
  /** `sha512-` and Base64 of the package's archive (w3.org/TR/SRI). */
  readonly integrity: string;
  /** Names of packages of this list. */
  readonly dependencies: readonly string[];
  /** True for what tlsboot imports itself. */
  readonly isDirect: boolean;
}

/** `hono@4.13.19`. */
export function packageId({ name, version }: Pick<BundledPackage, "name" | "version">): string {
  return `${name}@${version}`;
}
