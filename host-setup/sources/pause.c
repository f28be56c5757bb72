/* The sandbox process of every pod: holds its namespaces, ends on a signal, and reaps orphans when it is their init. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int number)
{
    (void)number;
    _exit(0);
}

static void reap(int number)
{
    (void)number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(int count, char **arguments)
{
    /* `kubeadm upgrade` tries whether the cluster runs a Job: this image with -v, which must end by itself. */
    if (count > 1 && strcmp(arguments[1], "-v") == 0) {
        static const char said[] = "pause of kubelab\n";
        return write(STDOUT_FILENO, said, sizeof said - 1) < 0;
    }

    struct sigaction ending = {.sa_handler = stop};
    struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP | SA_RESTART};

    if (sigaction(SIGINT, &ending, NULL) || sigaction(SIGTERM, &ending, NULL) || sigaction(SIGCHLD, &reaping, NULL)) {
        return 1;
    }
    for (;;) {
        pause();
    }
}
