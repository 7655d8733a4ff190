// FreeRTOS for the emulated MPS2 board. In a project of yours this file is yours: the core asks nothing of it.
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#define configCPU_CLOCK_HZ 25000000UL
#define configTICK_RATE_HZ 1000
#define configUSE_16_BIT_TICKS 0
#define configUSE_PREEMPTION 1
#define configUSE_TIME_SLICING 1
#define configIDLE_SHOULD_YIELD 1
#define configMAX_PRIORITIES 5
#define configMAX_TASK_NAME_LEN 8
#define configMINIMAL_STACK_SIZE 128 // words
#define configUSE_IDLE_HOOK 0
#define configUSE_TICK_HOOK 0
#define configUSE_TIMERS 0
#define configUSE_CO_ROUTINES 0
#define configCHECK_FOR_STACK_OVERFLOW 0

// All tasks are static: there is no heap.
#define configSUPPORT_STATIC_ALLOCATION 1
#define configSUPPORT_DYNAMIC_ALLOCATION 0

#define INCLUDE_vTaskDelay 1
#define INCLUDE_vTaskDelayUntil 1
#define INCLUDE_vTaskSuspend 1
#define INCLUDE_xTaskGetCurrentTaskHandle 1

// Smaller numbers are more urgent. Interrupts from SYSCALL down to KERNEL may call FreeRTOS's ...FromISR; more urgent ones may
// not, but they may call the core.
#define configKERNEL_INTERRUPT_PRIORITY 0xff
#define configMAX_SYSCALL_INTERRUPT_PRIORITY 0xa0

#define configASSERT(condition)                                                                                                  \
    do {                                                                                                                         \
        if (!(condition)) {                                                                                                      \
            taskDISABLE_INTERRUPTS();                                                                                            \
            for (;;) {                                                                                                           \
            }                                                                                                                    \
        }                                                                                                                        \
    } while (0)

#define vPortSVCHandler SVC_Handler
#define xPortPendSVHandler PendSV_Handler
#define xPortSysTickHandler SysTick_Handler

#endif
