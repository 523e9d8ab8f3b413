/** The npm packages inside the single file, for the bill of materials and the licence texts. */

/** An npm package that the program imports, directly or through another package. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** The licence of the package, an SPDX expression. */
  readonly license: string;
  /** The hash of the package's archive: `sha512-` and Base64 (w3.org/TR/SRI). */
  readonly integrity: string;
  /** The names of packages in this list that it depends on. */
  readonly dependencies: readonly string[];
  /** True for packages that tlsboot imports itself. */
  readonly isDirect: boolean;
}

/** Returns the name and version of a package: `hono@4.13.19`. */
export function packageId({ name, version }: Pick<BundledPackage, "name" | "version">): string {
  return `${name}@${version}`;
}
