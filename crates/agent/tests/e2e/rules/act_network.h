/* The part of act.c that speaks to others over the network. */
static int connected(const char *address, const char *port)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, address, &peer.sin_addr);
	must(connect(s, (struct sockaddr *)&peer, sizeof(peer)), "connect");
	return s;
}

/* Accepts connections and does nothing with them. */
static void serve(const char *address, const char *port)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int s = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	inet_pton(AF_INET, address, &own.sin_addr);
	must(bind(s, (struct sockaddr *)&own, sizeof(own)), "bind");
	must(listen(s, 16), "listen");
	for (;;)
		accept(s, NULL, NULL);
}

/* Connects to a socket with a path, maybe to an own one. */
static void talk(const char *path, bool own)
{
	struct sockaddr_un peer = { .sun_family = AF_UNIX };
	int server = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(peer.sun_path, path, sizeof(peer.sun_path) - 1);
	if (own) {
		unlink(path);
		must(bind(server, (struct sockaddr *)&peer, sizeof(peer)), "bind");
		must(listen(server, 1), "listen");
	}
	must(connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&peer, sizeof(peer)), "connect");
}

/* A question as DNS has it, for the name and the number of a type. Gives its
 * length. */
static size_t question(unsigned char *to, const char *name, int type)
{
	unsigned char header[12] = { 0x12, 0x34, 1, 0, 0, 1 }, *at = to + sizeof(header);

	memcpy(to, header, sizeof(header));
	while (*name) {
		size_t label = strcspn(name, ".");

		*at++ = label;
		memcpy(at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	*at++ = 0;
	*at++ = type >> 8;
	*at++ = type;
	*at++ = 0;
	*at++ = 1;
	return at - to;
}

static void ask(const char *server, const char *type, const char *name)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct timeval patience = { .tv_usec = 300000 };
	unsigned char message[1024];
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, server, &peer.sin_addr);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	must(connect(s, (struct sockaddr *)&peer, sizeof(peer)), "connect");
	must(send(s, message, question(message, name, atoi(type)), 0), "send");
	recv(s, message, sizeof(message), 0);
}

/* Answers every question for an address with the same one. */
static void answer(const char *address)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(53) }, peer;
	unsigned char message[1024], record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	must(bind(s, (struct sockaddr *)&own, sizeof(own)), "bind");
	for (;;) {
		socklen_t length = sizeof(peer);
		ssize_t size = recvfrom(s, message, 512, 0, (struct sockaddr *)&peer, &length);

		if (size < 17)
			continue;
		message[2] = 0x81;
		message[3] = 0x80;
		if (message[size - 3] == 1) { /* an A record is asked for */
			message[7] = 1;
			memcpy(message + size, record, sizeof(record));
			inet_pton(AF_INET, address, message + size + sizeof(record));
			size += sizeof(record) + 4;
		}
		sendto(s, message, size, 0, (struct sockaddr *)&peer, length);
	}
}

/* Answers one datagram, and then sends by the same socket to another address, where one is given. */
static void reply(const char *port, const char *to)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) }, peer;
	socklen_t length = sizeof(peer);
	char message[64];
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	must(bind(s, (struct sockaddr *)&own, sizeof(own)), "bind");
	must(recvfrom(s, message, sizeof(message), 0, (struct sockaddr *)&peer, &length), "recvfrom");
	must(sendto(s, "x", 1, 0, (struct sockaddr *)&peer, length), "sendto");
	if (!*to)
		return;
	peer.sin_port = htons(443);
	inet_pton(AF_INET, to, &peer.sin_addr);
	must(sendto(s, "x", 1, 0, (struct sockaddr *)&peer, sizeof(peer)), "sendto");
}
