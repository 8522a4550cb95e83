export default {
	title: 'Help centre',
	cleanUrls: true,
	head: [['link', { rel: 'icon', href: 'data:,' }]],
	themeConfig: {
		nav: [{ text: 'Home', link: '/' }, { text: 'New ticket', link: '/form' }],
	},
};
