import Link from 'next/link';

export const metadata = { title: 'Help centre', icons: { icon: 'data:,' } };

export default function Layout({ children }) {
	return (
		<html lang="en">
			<body>
				<nav>
					<Link id="to-home" href="/">Home</Link> <Link id="to-form" href="/form">New ticket</Link>{' '}
					<Link id="to-streamed" href="/streamed">New ticket, streamed</Link>
				</nav>
				<main>{children}</main>
			</body>
		</html>
	);
}
