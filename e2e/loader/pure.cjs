// What the loader does without a page: it must end before it reads anything where it has
// nothing to do. Every access to the document throws here.
'use strict';

const assert = require('node:assert');
const { readFileSync } = require('node:fs');
const { createContext, runInContext } = require('node:vm');

const source = readFileSync(process.argv[2], 'utf8');
const untouchable = (name) => new Proxy(function () {}, {
	get: (_, property) => { throw new Error(`${name}.${String(property)} was read`); },
	has: () => { throw new Error(`${name} was looked into`); },
});

// load runs the loader as a page does, in a browser with these properties.
function load(globals, gpc) {
	const self = createContext({ document: untouchable('document'), Document: { prototype: untouchable('Document.prototype') }, ...globals });
	self.self = self;
	const call = `{ const MORE = false; (${source})(["#a", "#b", "#c", "#d"], "consent", "kapa_deflector=1.x.y.", 1, ${gpc}, {}, 0) }`;
	return { run: () => runInContext(call, self) };
}

const cases = {
	'Global Privacy Control that is honoured'() {
		const page = load({ navigator: { globalPrivacyControl: true }, origin: 'https://a.example' }, 1);
		assert.doesNotThrow(page.run);
	},
	'Global Privacy Control that is not honoured'() {
		const page = load({ navigator: { globalPrivacyControl: true }, origin: 'https://a.example' }, 0);
		assert.throws(page.run, /was read/);
	},
	'no Global Privacy Control'() {
		const page = load({ navigator: {}, origin: 'https://a.example' }, 1);
		assert.throws(page.run, /was read/);
	},
	'the loader twice'() {
		const page = load({ navigator: {}, origin: 'https://a.example' }, 1);
		assert.throws(page.run, /was read/);
		assert.doesNotThrow(page.run);
	},
	'an opaque origin, which has no cookies'() {
		const page = load({ navigator: {}, origin: 'null' }, 1);
		assert.doesNotThrow(page.run);
	},
};

for (const [name, run] of Object.entries(cases)) {
	run();
	console.log(`ok ${name}`);
}
