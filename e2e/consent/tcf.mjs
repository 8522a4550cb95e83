// What IAB Tech Lab's own libraries make and read: the judge of our decoder of
// TC and GPP strings. Answers are lines of JSON.
//
//	node tcf.mjs make <seed> <count>       makes TC strings of random consents
//	node tcf.mjs make-gpp <seed> <count>   makes GPP strings of random sections
//	node tcf.mjs read < strings            reads TC strings, one a line
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const { GVL, PurposeRestriction, Segment, SegmentEncoder, TCModel, TCString } = require('@iabtcf/core');
const { GppModel, TcfEuV2 } = require('@iabgpp/cmpapi');

// A small generator with a seed (mulberry32): Math.random has none.
let state;
const random = () => {
	state = (state + 0x6d2b79f5) | 0;
	let t = Math.imul(state ^ (state >>> 15), state | 1);
	t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
	return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};
const below = (n) => Math.floor(random() * n);
const chance = (p) => random() < p;
const pick = (list) => list[below(list.length)];

// Some of 1 to n, now few of them, now many.
const some = (n) => {
	const p = pick([0, 0.1, 0.5, 0.9, 1]);
	return Array.from({ length: n }, (_, i) => i + 1).filter(() => chance(p));
};
const date = () => new Date(Date.UTC(2019 + below(10), below(12), 1 + below(28)));

// A vendor list for policy version, with a vendor for each number.
const vendorList = (policy, vendors) => new GVL({
	gvlSpecificationVersion: 3, vendorListVersion: below(4096), tcfPolicyVersion: policy, lastUpdated: '2026-01-01T00:00:00Z',
	purposes: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [i + 1, { id: i + 1, name: '', description: '', illustrations: [] }])),
	specialPurposes: {}, features: {}, specialFeatures: {}, stacks: {}, dataCategories: {},
	vendors: Object.fromEntries(vendors.map((id) => [id, {
		id, name: `vendor ${id}`, purposes: [1, 8], legIntPurposes: [2, 7], flexiblePurposes: [2], specialPurposes: [], features: [], specialFeatures: [],
	}])),
});

const makeModel = () => {
	const model = new TCModel();
	model.gvl = vendorList(2 + below(4), some(200)); // says the policy version, and which vendors there are
	model.cmpId = 2 + below(400);
	model.cmpVersion = below(4096);
	model.consentScreen = below(64);
	model.consentLanguage = pick(['EN', 'DE', 'FR', 'AR', 'ZH', 'ZZ']);
	model.isServiceSpecific = chance(0.8);
	model.useNonStandardStacks = chance(0.2);
	model.purposeOneTreatment = chance(0.2);
	model.publisherCountryCode = pick(['AA', 'DE', 'FR', 'US', 'ZZ']);
	model.created = date();
	model.lastUpdated = date();
	model.specialFeatureOptins.set(some(12));
	model.purposeConsents.set(some(24));
	model.purposeLegitimateInterests.set(some(24));
	model.vendorConsents.set(some(1 + below(1500)));
	model.vendorLegitimateInterests.set(some(1 + below(1500)));
	model.vendorsDisclosed.set(some(1 + below(1500)));
	model.vendorsAllowed.set(some(1 + below(100)));
	model.publisherConsents.set(some(24));
	model.publisherLegitimateInterests.set(some(24));
	if (chance(0.5)) {
		model.numCustomPurposes = below(64);
		model.publisherCustomConsents.set(some(model.numCustomPurposes));
		model.publisherCustomLegitimateInterests.set(some(model.numCustomPurposes));
	}
	for (let n = pick([0, 0, 1, 5, 50]); n > 0; n--) {
		model.publisherRestrictions.add(1 + below(200), new PurposeRestriction(1 + below(11), below(3)));
	}
	return model;
};

// A string by the library's whole way, which puts some of it right, or segment
// by segment, in any order and with any content.
const encode = (model) => {
	const optional = [Segment.VENDORS_DISCLOSED, Segment.VENDORS_ALLOWED, Segment.PUBLISHER_TC].filter(() => chance(0.5));
	if (chance(0.3)) {
		return TCString.encode(model, chance(0.5) ? undefined : { segments: [Segment.CORE, ...optional] });
	}
	optional.sort(() => random() - 0.5);
	return [Segment.CORE, ...optional].map((segment) => SegmentEncoder.encode(model, segment)).join('.');
};

const numbers = (vector) => [...vector].filter(([, set]) => set).map(([n]) => n);

// What the library reads out of a string. It does not say which segments there
// were; their first characters do: Y, Z and a to f are those of type 3.
const read = (s) => {
	try {
		const model = TCString.decode(s);
		return {
			version: model.version,
			policy: model.policyVersion,
			serviceSpecific: model.isServiceSpecific,
			undisclosed: model.purposeOneTreatment,
			purposes: numbers(model.purposeConsents),
			publisher: s.split('.').slice(1).some((segment) => /^[YZa-f]/.test(segment)),
			publisherPurposes: numbers(model.publisherConsents),
		};
	} catch (e) {
		return { error: String(e.message || e) };
	}
};

// The same by the other library.
const readOfGPP = (s) => {
	try {
		const set = (bits) => bits.flatMap((bit, i) => (bit ? [i + 1] : []));
		const section = new TcfEuV2(s);
		return {
			purposes: set(section.getFieldValue('PurposeConsents')),
			publisherPurposes: set(section.getFieldValue('PublisherConsents')),
		};
	} catch (e) {
		return { error: String(e.message || e) };
	}
};

const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n');
const answer = (s) => say({ string: s, ...read(s), gpp: readOfGPP(s) });

// Sections of GPP, by a field of each; those of the US have Version and more.
const makeGPP = () => {
	const gpp = new GppModel();
	const names = ['tcfeuv2', 'tcfcav1', 'uspv1', 'usnat', 'usca', 'usva', 'usco', 'usut', 'usct', 'usfl', 'usmt', 'usor', 'ustx', 'usde'];
	const p = pick([0, 0.1, 0.5, 1]);
	for (const name of names) {
		if (!chance(name === 'tcfeuv2' ? 0.7 : p)) {
			continue;
		}
		if (name === 'tcfeuv2') {
			gpp.setFieldValue(name, 'PolicyVersion', 5);
			gpp.setFieldValue(name, 'IsServiceSpecific', true);
			gpp.setFieldValue(name, 'PurposeOneTreatment', chance(0.2));
			gpp.setFieldValue(name, 'VendorConsents', some(1 + below(300)));
			for (const field of ['PurposeConsents', 'PublisherConsents']) {
				const set = some(24);
				gpp.setFieldValue(name, field, Array.from({ length: 24 }, (_, i) => set.includes(i + 1)));
			}
			gpp.setFieldValue(name, 'Created', date()); // last: any other field makes it today
		} else if (name === 'tcfcav1') {
			gpp.setFieldValue(name, 'CmpVersion', below(4096));
			gpp.setFieldValue(name, 'Created', date());
			gpp.setFieldValue(name, 'LastUpdated', date());
		} else if (name === 'uspv1') {
			gpp.setFieldValue(name, 'Notice', 'Y');
		} else {
			gpp.setFieldValue(name, 'SaleOptOut', below(3));
		}
	}
	return gpp.encode();
};

const [command, seed, count] = process.argv.slice(2);
state = Number(seed);
switch (command) {
case 'make':
	for (let i = 0; i < Number(count); i++) {
		answer(encode(makeModel()));
	}
	break;
case 'make-gpp':
	for (let i = 0; i < Number(count); i++) {
		const s = makeGPP();
		const gpp = new GppModel(s);
		const tc = gpp.hasSection('tcfeuv2') ? gpp.encodeSection('tcfeuv2') : '';
		say({ string: s, tc, sections: gpp.getSectionIds(), ...(tc && { gpp: readOfGPP(tc), undisclosed: gpp.getFieldValue('tcfeuv2', 'PurposeOneTreatment') }) });
	}
	break;
case 'read':
	for await (const line of createInterface({ input: process.stdin })) {
		answer(line);
	}
	break;
default:
	throw new Error(`unknown command: ${command}`);
}
