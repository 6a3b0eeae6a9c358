# Recipes for the appliance in a container and for working on the code. `just` alone lists them.
# just is not in Debian 12: pipx install rust-just, or cargo install just.
#
# .env is read first; these of its variables steer the recipes (.env.example explains them):
#   CONTAINER_NAME IMAGE_NAME DATA_DIR PERSIST_DATA DEFAULT_PORT DEFAULT_DOMAIN EXPOSE_WEB_PORT EXPOSE_DB_PORT
#   EXPOSE_REDIS_PORT REGISTRY BACKUP_DIR
# Recipes of a site of its own go into my.justfile, which git ignores.
#
# 在容器中运维和开发用的命令；直接运行 just 会列出全部。先读取 .env，上面的变量只影响这些命令。站点自己的命令写在 my.justfile 里。

set dotenv-load
set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

import? 'my.justfile'

export CONTAINER_NAME := if env('CONTAINER_NAME', '') == '' { 'glitchbox' } else { env('CONTAINER_NAME') }
export IMAGE_NAME := if env('IMAGE_NAME', '') == '' { 'glitchbox' } else { env('IMAGE_NAME') }
export BACKUP_DIR := if env('BACKUP_DIR', '') == '' { 'backups' } else { env('BACKUP_DIR') }

# How many lines log recipes begin with: just lines=1000 logs-app
lines := '200'
just := quote(just_executable()) + ' --justfile ' + quote(justfile())

[private]
default:
    @{{ just }} --list

# ---- container

# Start the container, or replace it by one of the image as it is now; its data stays | 部署或更新容器，数据保留
[group('container 容器')]
[no-exit-message]
deploy-test:
    @docker image inspect "$IMAGE_NAME" >/dev/null 2>&1 || {{ just }} build
    @./scripts/deploy

# Build the image; arguments go to docker build | 构建镜像，参数传给 docker build
[group('container 容器')]
build *args:
    @[ $# -gt 0 ] || ./scripts/base-images || true
    docker build --tag "$IMAGE_NAME" "$@" .

# Remove the container and the image; the data stays | 删除容器和镜像，数据保留
[group('container 容器')]
[no-exit-message]
clean:
    @./scripts/deploy --clean

# Push the image to REGISTRY | 推送镜像到 REGISTRY
[group('container 容器')]
[no-exit-message]
push tag='latest':
    #!/usr/bin/env bash
    set -euo pipefail
    if [ -z "${REGISTRY:-}" ]; then
        echo "Set REGISTRY, as in REGISTRY=registry.example.com/team." >&2
        exit 1
    fi
    name=${IMAGE_NAME##*/}
    target=${REGISTRY%/}/${name%%:*}:$1
    docker tag "$IMAGE_NAME" "$target"
    docker push "$target"

# A shell in the container | 进入容器的 shell
[group('container 容器')]
[no-exit-message]
it-shell *args:
    @{{ just }} _in bash "$@"

# psql on the bundled PostgreSQL; arguments go to psql | 打开内置 PostgreSQL 的 psql
[group('container 容器')]
[no-exit-message]
it-shell-psql *args:
    @{{ just }} _in supervisor psql -- "$@"

# redis-cli on the bundled Redis; arguments go to redis-cli | 打开内置 Redis 的 redis-cli
[group('container 容器')]
[no-exit-message]
it-shell-redis *args:
    @{{ just }} _in supervisor redis-cli -- "$@"

# Every service: state, memory, restarts, health; --json | 各服务的状态
[group('container 容器')]
[no-exit-message]
status *args:
    @{{ just }} _in supervisor status "$@"

# What makes trouble sooner or later, and what to do about it; --json | 检查潜在问题并给出办法
[group('container 容器')]
[no-exit-message]
doctor *args:
    @{{ just }} _in supervisor doctor "$@"

# Go over to a changed conf/supervisor.toml; --dry-run only says what would be done | 重新读取 conf/supervisor.toml
[group('container 容器')]
[no-exit-message]
reload *args:
    @{{ just }} _in supervisor reload "$@"

# Admin commands: just admin user list (glitchbox --help shows all) | 管理命令
[group('container 容器')]
[no-exit-message]
admin *args:
    @{{ just }} _in glitchbox "$@"

alias it-django-mange := admin

# ---- logs: they go on when shown on a terminal

# What the container says, as docker logs | 容器日志
[group('logs 日志')]
[no-exit-message]
logs *args:
    @follow=(); [ ! -t 1 ] || follow=(--follow); exec docker logs --tail {{ lines }} "${follow[@]}" "$@" "$CONTAINER_NAME"

# Starts, stops, failures of services | supervisor 日志
[group('logs 日志')]
[no-exit-message]
logs-supervisor: (_service 'supervisor')

# What has happened to services, tasks and schedules | 服务、任务和定时任务的事件
[group('logs 日志')]
[no-exit-message]
events *args:
    @follow=(); [ ! -t 1 ] || follow=(--follow); exec {{ just }} _in supervisor events -n {{ lines }} "${follow[@]}" "$@"

# The web process: requests of SDKs, the API, pages | Web 应用日志
[group('logs 日志')]
[no-exit-message]
logs-app: (_service 'web')

# The worker (Celery's place in the seed) | 后台任务日志（即原来的 Celery）
[group('logs 日志')]
[no-exit-message]
logs-celery: (_service 'worker')

# The worker | 后台任务日志
[group('logs 日志')]
[no-exit-message]
logs-worker: (_service 'worker')

# PostgreSQL
[group('logs 日志')]
[no-exit-message]
logs-pgsql: (_service 'postgres')

# Redis
[group('logs 日志')]
[no-exit-message]
logs-redis: (_service 'redis')

# Migrations of the database | 数据库迁移日志
[group('logs 日志')]
[no-exit-message]
logs-migrate: (_file 'migrate.log')

# Only warnings and errors of the web process | 只看 Web 应用的警告和错误
[group('logs 日志')]
[no-exit-message]
logs-web-errors: (_file 'web.err.log')

# Only warnings and errors of the worker | 只看后台任务的警告和错误
[group('logs 日志')]
[no-exit-message]
logs-celery-errors: (_file 'worker.err.log')

# Scheduled restarts and their reports | 定时重启日志
[group('logs 日志')]
[no-exit-message]
logs-scheduled-restart: (_file 'scheduled-restart.log')

# Only what went wrong in scheduled restarts | 只看定时重启的错误
[group('logs 日志')]
[no-exit-message]
logs-scheduled-restart-errors: (_grep 'scheduled-restart*.log' 'failed|degraded|skipped|Warnings')

# Warnings and errors of everything, by time | 所有服务的警告和错误，按时间排序
[group('logs 日志')]
[no-exit-message]
logs-errors: (_grep '*.log' '')

# ---- data

# Back up while everything runs, and copy the backup here (to BACKUP_DIR) | 在线备份，并复制到本机
[group('data 数据')]
[no-exit-message]
backup folder=BACKUP_DIR:
    @./scripts/backup create "$1"

# Put a backup back: a file of this machine, the name of one in the container, or none to choose from a list | 恢复备份
[group('data 数据')]
[no-exit-message]
restore *file:
    @./scripts/backup restore "$@"

# Bring the database's schema up to date (every start does) | 执行数据库迁移（每次启动都会执行）
[group('data 数据')]
[no-exit-message]
run-migrate:
    @{{ just }} _in glitchbox migrate

# What happens each night, now: new web and worker, checks, report; --dry-run only checks | 立即执行每晚的定时重启
[group('data 数据')]
[no-exit-message]
run-scheduled-restart *args:
    @{{ just }} _in supervisor scheduled-restart "$@"

# ---- code

# Formatting and lints | 检查格式和 lint
[group('code 代码')]
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Every test that needs no container engine; --container: the image's | 运行测试
[group('code 代码')]
test *args:
    @./scripts/test "$@"

# Measure the figures of the README | 性能测试
[group('code 代码')]
bench *args:
    @./scripts/bench "$@"

# Format the code | 格式化代码
[group('code 代码')]
fmt:
    cargo fmt --all

# The project as a ZIP file: what git knows and what it does not ignore | 打包项目为 ZIP，不含被 git 忽略的文件
[group('code 代码')]
[no-exit-message]
package-to-zip file='glitchbox.zip':
    #!/usr/bin/env bash
    set -euo pipefail
    index=$(mktemp -d)
    trap 'rm -rf "$index" "$1.partial"' EXIT
    # A tree of the files as they are now, by an index of its own: the real one stays as it is.
    real=$(git rev-parse --path-format=absolute --git-path index)
    [ ! -f "$real" ] || cp "$real" "$index/index"
    GIT_INDEX_FILE=$index/index git add --all
    tree=$(GIT_INDEX_FILE=$index/index git write-tree)
    git archive --format=zip --prefix=glitchbox/ --output="$1.partial" "$tree"
    mv "$1.partial" "$1"
    echo "$1"

# ---- parts of the above

# A program in the container, with a terminal if there is one.
[no-exit-message]
_in *command:
    @terminal=(); if [ -t 0 ] && [ -t 1 ]; then terminal=(--tty); fi; exec docker exec --interactive "${terminal[@]}" "$CONTAINER_NAME" "$@"

# What a service has logged since the container's start.
[no-exit-message]
_service name:
    @follow=(); [ ! -t 1 ] || follow=(--follow); exec {{ just }} _in supervisor logs -n {{ lines }} "${follow[@]}" "$1"

# The end of a log file.
[no-exit-message]
_file name:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! docker exec "$CONTAINER_NAME" test -e "/data/logs/$1"; then
        # Not there: nothing has been logged, unless docker had something to say.
        docker exec "$CONTAINER_NAME" test -d /data/logs
        echo "Nothing so far (there is no /data/logs/$1)." >&2
        exit 0
    fi
    follow=()
    [ ! -t 1 ] || follow=(-F)
    exec {{ just }} _in tail -n {{ lines }} "${follow[@]}" "/data/logs/$1"

# The lines of log files that tell of something wrong, by time; `words` are further signs of it.
[no-exit-message]
_grep files words:
    #!/usr/bin/env bash
    set -euo pipefail
    docker exec "$CONTAINER_NAME" test -d /data/logs
    wrong='\b(WARN|WARNING|ERROR|FATAL|PANIC|panicked)\b|"level":"(warn|error)"'
    [ -z "$2" ] || wrong+="|\b($2)\b"
    # "0 failed" is how a good night is told.
    docker exec "$CONTAINER_NAME" bash -c \
        'cd /data/logs && { grep -hE "$1" $2 2>/dev/null | grep -v " 0 failed" | sort | tail -n "$3"; } || true' \
        _ "$wrong" "$1" {{ lines }}
