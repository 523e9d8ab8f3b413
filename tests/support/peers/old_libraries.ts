/** The C libraries of an old Debian: what the released file must do with. */
import { ensureReleasePackages } from "./debian_release.ts";

/** Fetches the libraries of the oldest release that mirrors still have, with glibc 2.31. The next one has 2.36. */
export async function ensureOldLibraries(): Promise<string> {
  return await ensureReleasePackages("bullseye", ["libc6", "libgcc-s1", "libstdc++6"]);
}
