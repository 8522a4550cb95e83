// One of the versions of React, without a bundler.
//
//	const { react, server, script } = require('../internal/react/react.cjs')(suffix);
//
// suffix is the end of the names that the version's packages have in package.json.
'use strict';
const Module = require('node:module');
const { readFileSync } = require('node:fs');
const { dirname } = require('node:path');

module.exports = (suffix) => {
	// React's packages require each other by the names that they have in the registry.
	const resolve = Module._resolveFilename;
	const required = {}; // by folder, as Node.js caches them: which file each name stands for
	Module._resolveFilename = function (name, parent, ...rest) {
		const file = resolve.call(this, name.replace(/^react(-dom)?(?=$|\/)/, '$&' + suffix), parent, ...rest);
		(required[parent.path] ??= {})[name] = file;
		return file;
	};
	const react = require.resolve('react'), client = require.resolve('react-dom/client');
	require(client);

	// The browser needs what these have required so far.
	const files = new Set([react, client]);
	for (const file of files) for (const found of Object.values(required[dirname(file)] ?? {})) files.add(found);

	return {
		react: require(react),
		server: require('react-dom/server'),

		// script hydrates the document, as a bundled script does. element is the source
		// of a function that is given React and returns the document's element.
		script(element) {
			const modules = [...files].map((file) => `${JSON.stringify(file)}: {
	folder: ${JSON.stringify(dirname(file))},
	run(module, exports, require) {${readFileSync(file)}\n},
}`);
			return `(() => {
const process = { env: {} }, required = ${JSON.stringify(required)}, loaded = {};
const modules = {${modules.join(',\n')}};
const load = (file) => {
	const { folder, run } = modules[file];
	if (!loaded[file]) run(loaded[file] = { exports: {} }, loaded[file].exports, (name) => load(required[folder][name]));
	return loaded[file].exports;
};
load(${JSON.stringify(client)}).hydrateRoot(document, (${element})(load(${JSON.stringify(react)})),
	{ onRecoverableError: (error) => console.error(String(error)) });
})()`;
		},
	};
};
