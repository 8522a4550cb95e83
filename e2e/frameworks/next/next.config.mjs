export default {
	turbopack: { root: import.meta.dirname }, // and not the folder above, which has a lock file too
	experimental: { turbopackFileSystemCacheForBuild: false }, // each build is the first
};
